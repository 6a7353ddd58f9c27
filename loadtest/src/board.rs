//! Who is served what: every answer is checked against the session it belongs to.

use std::sync::Arc;
use std::time::Duration;

use crate::plan::Api;
use crate::record::{Cause, Record};

pub use self::breaches::Breaches;
pub use self::ends::Ends;

mod breaches;
mod ends;

/// How long before its end the gateway stops to send an access token, for a call's way: 5 s, but a
/// fifth of its life at most.
const SERVE_MARGIN_MAX: Duration = Duration::from_secs(5);
/// What of that the provider may take away: `exp` is a whole second.
const WHOLE_SECOND: Duration = Duration::from_secs(1);

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// When the API answered, having seen this access token.
    Served(Seen),
    /// When another factor is demanded.
    Held,
    /// When it says to come back later.
    Postponed,
    /// When it says to sign in.
    SignIn,
    /// When it is any other answer.
    Other(u16),
    /// When it is a success, but not the API's.
    Nonsense,
    /// When there is none.
    Silence(Cause),
}

/// What an API says of the access token that it saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whose it is.
    pub subject: String,
    /// Whom it is for.
    pub audiences: Vec<String>,
    /// The whole seconds that it has yet to live.
    pub seconds_left: u64,
}

/// What was heard so far.
#[derive(Debug)]
pub struct Board {
    /// The times.
    pub record: Record,
    /// What was served wrongly.
    pub breaches: Breaches,
    seats: Vec<Seat>,
    ends: Arc<Ends>,
    /// The API for which a second factor may be demanded.
    wave: Option<Api>,
    /// How long a call may take at least before its access token can have expired on the way.
    trip: Duration,
    answers: u64,
    unanswered: u64,
}

#[derive(Clone, Debug, Default)]
struct Seat {
    subject: String,
    lost: bool,
    zombie: bool,
    held: bool,
    demanded: bool,
    /// The APIs that have answered since the last roll call began.
    answered: Vec<Api>,
}

/// How the sessions ended up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub total: u64,
    /// Those that ended although nobody ended them.
    pub lost: u64,
    /// Those that were served after their end.
    pub zombie: u64,
    /// Those of which another factor is still demanded at the end.
    pub held: u64,
    /// Those of which another factor was demanded at any time.
    pub demanded: u64,
}

impl Board {
    /// Makes one for sessions of these people.
    #[must_use]
    pub fn new(
        record: Record,
        subjects: &[String],
        ends: Arc<Ends>,
        (wave, life): (Option<Api>, Duration),
    ) -> Self {
        let seat = |subject: &String| Seat { subject: subject.clone(), ..Seat::default() };
        Self {
            record,
            breaches: Breaches::default(),
            seats: subjects.iter().map(seat).collect(),
            ends,
            wave,
            trip: SERVE_MARGIN_MAX.min(life / 5).saturating_sub(WHOLE_SECOND),
            answers: 0,
            unanswered: 0,
        }
    }

    /// Hears an answer; `due` is absent for calls before and after the measured ones.
    pub fn hear(
        &mut self,
        (number, api): (usize, Api),
        due: Option<Duration>,
        (sent, ended): (Duration, Duration),
        heard: &Heard,
    ) {
        match heard {
            Heard::Silence(_) => self.unanswered += 1,
            Heard::Served(_)
            | Heard::Held
            | Heard::Postponed
            | Heard::SignIn
            | Heard::Other(_)
            | Heard::Nonsense => self.answers += 1,
        }
        let failure = self.judge(number, api, (sent, ended), heard);
        if let Some(due) = due {
            match failure {
                None => self.record.answered(due, sent, ended),
                Some(cause) => self.record.failed(due, cause),
            }
        }
    }

    /// Begins a roll call: what was answered before does not count.
    pub fn call_roll(&mut self) {
        for seat in &mut self.seats {
            seat.answered.clear();
            seat.held = false;
        }
    }

    /// Returns the calls whose answers a roll call still lacks; a session that is lost is not
    /// waited for.
    #[must_use]
    pub fn missing(&self, apis: &[Api]) -> Vec<(usize, Api)> {
        let seats = self.seats.iter().enumerate().filter(|(_, seat)| !seat.lost);
        seats
            .flat_map(|(number, seat)| {
                let missing = apis.iter().filter(|api| !seat.answered.contains(api));
                missing.map(move |&api| (number, api))
            })
            .collect()
    }

    /// Ends a roll call: whoever is still missing is lost.
    pub fn close_roll(&mut self, apis: &[Api]) {
        for (number, _) in self.missing(apis) {
            self.seats[number].lost = true;
        }
    }

    /// Returns how the sessions ended up.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let count =
            |of: fn(&Seat) -> bool| self.seats.iter().filter(|seat| of(seat)).count() as u64;
        Tally {
            total: self.seats.len() as u64,
            lost: count(|seat| seat.lost),
            zombie: count(|seat| seat.zombie),
            held: count(|seat| seat.held),
            demanded: count(|seat| seat.demanded),
        }
    }

    /// Returns how many answers came in all, and how many requests stayed without.
    #[must_use]
    pub const fn answers(&self) -> (u64, u64) {
        (self.answers, self.unanswered)
    }

    /// Checks an answer; returns why it does not count as one.
    fn judge(
        &mut self,
        number: usize,
        api: Api,
        (sent, ended): (Duration, Duration),
        heard: &Heard,
    ) -> Option<Cause> {
        let is_leaving = self.ends.is_before(number, 0, ended);
        let is_gone = self.ends.is_before(number, 1, sent);
        let seat = self.seats.get_mut(number)?;
        match heard {
            Heard::Served(seen) => {
                seat.has_answered(api);
                seat.zombie |= is_gone;
                let outran = ended.saturating_sub(sent) > self.trip;
                self.breaches.check((number, &seat.subject), api, seen, (is_gone, outran));
                None
            }
            Heard::SignIn if is_leaving => {
                seat.has_answered(api);
                None
            }
            Heard::SignIn => {
                seat.lost = true;
                Some(Cause::SignIn)
            }
            Heard::Held if self.wave == Some(api) => {
                seat.has_answered(api);
                seat.held = true;
                seat.demanded = true;
                None
            }
            Heard::Held => Some(Cause::Held),
            Heard::Postponed => Some(Cause::Postponed),
            Heard::Other(_) => Some(Cause::Refused),
            Heard::Nonsense => Some(Cause::Nonsense),
            Heard::Silence(cause) => Some(*cause),
        }
    }
}

impl Seat {
    fn has_answered(&mut self, api: Api) {
        if !self.answered.contains(&api) {
            self.answered.push(api);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Duration = Duration::from_millis(10);
    const ENDED: Duration = Duration::from_millis(12);
    const LIFE: Duration = Duration::from_secs(10);

    fn board(wave: Option<Api>) -> (Board, Arc<Ends>) {
        let ends = Arc::new(Ends::new(2));
        let record = Record::new(Duration::from_secs(1));
        let subjects = ["ada", "alan"].map(str::to_owned);
        (Board::new(record, &subjects, Arc::clone(&ends), (wave, LIFE)), ends)
    }

    fn served(subject: &str, api: Api, seconds_left: u64) -> Heard {
        let audiences = vec![api.audience().to_owned()];
        Heard::Served(Seen { subject: subject.to_owned(), audiences, seconds_left })
    }

    /// Hears one measured answer to ada's call of quotes; returns the breaches, and how many
    /// requests were answered and failed.
    fn hear(board: &mut Board, heard: &Heard) -> (u64, u64, u64, u64, u64) {
        board.hear((0, Api::Quotes), Some(SENT), (SENT, ENDED), heard);
        let Breaches { wrong, expired, zombies, .. } = board.breaches;
        (wrong, expired, zombies, board.record.ok(), board.record.failures())
    }

    #[test]
    fn every_answer_is_held_against_its_session() {
        let wave = Some(Api::Quotes);
        for (wave, heard, expected) in [
            (None, served("ada", Api::Quotes, 5), (0, 0, 0, 1, 0)),
            (None, served("alan", Api::Quotes, 5), (1, 0, 0, 1, 0)),
            (None, served("ada", Api::Echo, 5), (1, 0, 0, 1, 0)),
            (None, served("ada", Api::Quotes, 0), (0, 1, 0, 1, 0)),
            (None, Heard::SignIn, (0, 0, 0, 0, 1)),
            (None, Heard::Held, (0, 0, 0, 0, 1)),
            (wave, Heard::Held, (0, 0, 0, 1, 0)),
            (None, Heard::Postponed, (0, 0, 0, 0, 1)),
            (None, Heard::Other(500), (0, 0, 0, 0, 1)),
            (None, Heard::Silence(Cause::Cut), (0, 0, 0, 0, 1)),
        ] {
            assert_eq!(hear(&mut board(wave).0, &heard), expected, "{heard:?}");
        }
    }

    #[test]
    fn a_token_that_expires_on_a_long_way_was_not_served_too_late() {
        let (mut board, _) = board(None);
        let heard = served("ada", Api::Quotes, 0);
        for (took_ms, expected) in [(1_000, (1, 0)), (1_001, (1, 1))] {
            let ended = SENT + Duration::from_millis(took_ms);
            board.hear((0, Api::Quotes), None, (SENT, ended), &heard);
            assert_eq!((board.breaches.expired, board.breaches.outrun), expected, "{took_ms}");
        }
    }

    #[test]
    fn a_session_that_signed_out_is_served_no_more() {
        let (mut board, ends) = board(None);
        ends.begin(0, Duration::from_millis(11));
        assert_eq!(hear(&mut board, &served("ada", Api::Quotes, 5)), (0, 0, 0, 1, 0));
        assert_eq!(hear(&mut board, &Heard::SignIn), (0, 0, 0, 2, 0), "as it should be told");
        ends.confirm(0, Duration::from_millis(9));
        assert_eq!(hear(&mut board, &served("ada", Api::Quotes, 5)), (0, 0, 1, 3, 0));
        assert_eq!(board.tally(), Tally { total: 2, zombie: 1, ..Tally::default() });
    }

    #[test]
    fn whoever_misses_the_roll_call_is_lost() {
        let (mut board, _) = board(Some(Api::Echo));
        let apis = [Api::Quotes, Api::Echo];
        let mut hear = |seat, api, heard: &Heard| {
            board.hear((seat, api), None, (SENT, ENDED), heard);
        };
        hear(0, Api::Quotes, &served("ada", Api::Quotes, 5));
        hear(0, Api::Echo, &Heard::Held);
        hear(1, Api::Echo, &served("alan", Api::Echo, 5));
        hear(1, Api::Quotes, &Heard::Postponed);
        assert_eq!(board.missing(&apis), [(1, Api::Quotes)]);
        assert_eq!(board.tally().lost, 0, "to be told to wait is not to be lost");
        board.close_roll(&apis);
        assert_eq!(board.tally(), Tally { total: 2, lost: 1, zombie: 0, held: 1, demanded: 1 });
        assert_eq!(board.record.ok() + board.record.failures(), 0, "nothing of it was measured");
    }
}
