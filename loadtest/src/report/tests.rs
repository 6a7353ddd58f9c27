use std::time::Duration;

use super::*;
use crate::director::Played;
use crate::record::{SLOTS_MAX, Slot};
use crate::verdict::{Fifth, Latency, Requests};

/// The largest page: what a mail or a chat takes without complaint.
const PAGE_BYTES_MAX: usize = 150_000;

/// A long run with everything that a page can show.
fn busy() -> (Verdict, Picture) {
    let curve: Vec<(f64, u64)> = (0..48)
        .map(|step| (1.0 - 10_f64.powf(-f64::from(step) / 8.0), 400 + 99 * step as u64))
        .collect();
    let mut verdict = Verdict {
        plan: "kill <&>".to_owned(),
        requests: Requests { sent: 240_000, ok: 239_000, failed: 1_000 },
        latency_us: Latency { p50: 700, p90: 900, p99: 86_800, p999: 200_000, max: 300_000 },
        ..Verdict::default()
    };
    verdict.detail.service_us = Latency { p99: 9_700, ..Latency::default() };
    verdict.detail.curve.clone_from(&curve);
    verdict.detail.service_curve = curve;
    verdict.detail.fifths = vec![Fifth { p99: 5, ..Fifth::default() }; 5];
    verdict.detail.failures.insert("no connection".to_owned(), 1_000);
    let kept = |words: &str, state| Law { words: words.to_owned(), figure: "0".to_owned(), state };
    verdict.judge(vec![
        kept("good", State::Kept),
        kept("bad", State::Broken("3 <sessions> were lost".to_owned())),
        kept("unknown", State::NotJudged("who knows".to_owned())),
    ]);
    let rows = std::array::from_fn(|row| u32::try_from(row * 37 % 911).unwrap());
    let slot = Slot { rows, ok: 1_990, failed: 10, most_us: 300_000 };
    let at = [10, 12].map(Duration::from_secs);
    let picture = Picture {
        slots: vec![slot; SLOTS_MAX],
        offered: vec![2_000; SLOTS_MAX],
        slot: Duration::from_secs(5),
        played: vec![Played { at, words: "gateway killed".to_owned() }],
    };
    (verdict, picture)
}

#[test]
fn a_page_is_one_small_file_without_scripts_and_holds_everything() {
    let (verdict, picture) = busy();
    let page = page(&verdict, &picture, Some(&verdict)).unwrap();
    assert!(page.len() < PAGE_BYTES_MAX, "{} bytes", page.len());
    for absent in ["<script", "http://", "https://", "@import", "url(", "<sessions>", "<&>"] {
        assert!(!page.contains(absent), "{absent}");
    }
    for present in [
        "239,000",
        "1 at 10 s to 12 s: gateway killed",
        "3 &#60;sessions&#62; were lost",
        "Mind the gap: 99 of 100 answers came within 9.7 ms of being sent, but within 87 ms",
        "prefers-color-scheme: dark",
        "no connection",
        "no larger than chance",
    ] {
        assert!(page.contains(present), "{present}");
    }
    assert_eq!(page.matches("<svg").count(), 3);
    assert_eq!(page.matches("NaN").count() + page.matches("inf\"").count(), 0);
}

#[test]
fn a_run_without_a_single_answer_can_still_be_told() {
    let verdict = Verdict::default();
    let empty = Picture { slots: vec![Slot::default()], ..Picture::default() };
    for picture in [Picture::default(), empty] {
        let page = page(&verdict, &picture, None).unwrap();
        assert!(!page.contains("NaN"), "{page}");
    }
    assert!(summary(&verdict).contains("No request was sent"));
}
