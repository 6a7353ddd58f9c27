//! The table as a person reads it.

use super::Played;
use super::outcome::Outcome;
use crate::terminal;

/// The programs that were measured, in the order of [`Row::peers`](super::rows::Row::peers).
const PEERS: [&str; 3] =
    ["express-openid-connect 3.4.0", "mod_auth_openidc 2.4.12.3", "mod_auth_openidc 2.4.20.3"];

/// Where the figures of the others come from.
const SOURCE: &str = "\
Figures of the others: measured for this project on two cores over loopback, before a provider with
single-use refresh tokens that revokes the family on reuse (express-openid-connect 3.4.0 with
http-proxy-middleware 3.0.10; mod_auth_openidc as Debian has it and the latest). Their waiting times
are theirs alone: another day, another machine. Rows without such figures are ours.";

/// Lays the rows out: a line of figures for each, and under it what the others did.
pub(super) fn show(played: &[Played]) -> String {
    let head = [
        "what goes wrong",
        "token requests",
        "answered",
        "told to wait",
        "failed",
        "p50 ms",
        "slowest ms",
        "sessions",
        "beaten",
    ];
    let head = head.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(played.iter().map(cells)).collect();
    let table = terminal::table(&rows);
    let mut lines = table.lines();
    let mut shown = vec![lines.next().unwrap_or_default().to_owned()];
    for (line, played) in lines.zip(played) {
        shown.push(line.to_owned());
        shown.extend(remarks(played));
    }
    shown.push(format!("\n{SOURCE}"));
    shown.join("\n")
}

fn cells(played: &Played) -> Vec<String> {
    let title = played.row.title.to_owned();
    let beaten = if played.is_beaten() { "yes" } else { "NO" }.to_owned();
    let Ok(Outcome { calls, ledger, lived, .. }) = &played.outcome else {
        let mut cells = vec![title];
        cells.extend((0..7).map(|_| "?".to_owned()));
        cells.push(beaten);
        return cells;
    };
    if played.row.in_process {
        let mut cells = vec![title];
        cells.extend((0..6).map(|_| "-".to_owned()));
        cells.extend([(*lived).to_owned(), beaten]);
        return cells;
    }
    let waited = calls.waited().map(|waits| waits.map(|wait| wait.as_millis().to_string()));
    let [median, longest] = waited.unwrap_or_else(|| ["-", "-"].map(str::to_owned));
    let counts = [ledger.token_requests, calls.answered, calls.postponed, calls.failed];
    std::iter::once(title)
        .chain(counts.map(|count| count.to_string()))
        .chain([median, longest, (*lived).to_owned(), beaten])
        .collect()
}

fn remarks(played: &Played) -> Vec<String> {
    let own = played.outcome.as_ref().map(|outcome| outcome.remark.as_str()).unwrap_or_default();
    let own = (!own.is_empty()).then(|| format!("    {own}"));
    let others = played.row.peers.iter().flat_map(|did| PEERS.iter().zip(did));
    let others = others.map(|(peer, did)| format!("    {peer}: {did}"));
    own.into_iter().chain(others).collect()
}
