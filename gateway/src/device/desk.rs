//! The desk where codes are opened, claimed and fetched: at whichever gateway of a fleet.
//!
//! Each code is one note on the board of the store, named by its user code; what a device asks with
//! names it too, so that a question costs one look. Every change replaces the note that was seen, and
//! is decided anew where somebody else was first: so of two people who approve one code at two gateways
//! one wins.

use std::net::IpAddr;
use std::time::Duration;

use tokenward::core::device_sign_in::codes::{
    Answer, Claim, Code, CodeId, DeviceKind, Standing, Terms, Wish,
};
use tokenward::core::device_sign_in::links::Linked;
use tokenward::core::device_sign_in::user_code::UserCode;
use tokenward::core::secret::AccessToken;
use tokenward::core::time::Present;
use tokenward::store::{NoteKey, StoreError, WroteNote};
use tokenward::{SessionHandle, Vault};
use zeroize::Zeroizing;

use super::kept::{self, Kept};
use super::{Astray, Displays};

/// How often another code is drawn where one is in use: at 10,000 open ones, once is rare.
const DRAWS: usize = 8;

/// What a device asks with: a secret of its own, and the code that people see, which names the note.
pub(super) struct DeviceCode {
    secret: SessionHandle,
    user: UserCode,
}

/// A code that was opened, as its device is told.
pub(super) struct Opened {
    pub(super) device_code: DeviceCode,
    pub(super) user_code: UserCode,
}

/// Why no code is opened.
pub(super) enum Unopened {
    /// There are as many as there may be, or too many were asked for; says how long to wait.
    Full(Duration),
    /// The store does not answer.
    Later,
}

/// What a code of `/d` leads to.
pub(super) enum Found {
    /// A display that wants to sign in, and how long its code is good for.
    SignIn(Wish, Duration),
    /// A display that is held.
    StepUp(Linked),
}

/// Why a session is not kept for its device.
pub(super) enum Ungranted {
    /// The claim is gone: nobody will ever fetch it.
    Unclaimed,
    /// The store does not answer: it may be kept or not.
    Later,
}

impl DeviceCode {
    /// Reads what a device sent; `None` where it cannot be a code of ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (secret, user) = text.split_once('.')?;
        let secret = SessionHandle::parse(secret).ok()?;
        Some(Self { secret, user: UserCode::parse(user).ok()? })
    }

    /// Gives it out to its device.
    pub(super) fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}.{}", *self.secret.expose(), self.user))
    }

    fn id(&self) -> CodeId {
        CodeId(self.secret.key().0)
    }
}

impl Displays {
    pub(super) async fn open(
        &self,
        place: IpAddr,
        wish: &Wish,
        terms: Terms,
    ) -> Result<Opened, Unopened> {
        let now = self.vault.clock().now();
        self.counted().openings.take(place, now).map_err(Unopened::Full)?;
        let secret = SessionHandle::random();
        let id = CodeId(secret.key().0);
        self.counted().tally.open(id, terms, now).map_err(Unopened::Full)?;
        let now = self.vault.present();
        let code = Code::open(id, wish.clone(), terms, now);
        let keep = code.keep(now);
        match self.draw(&Kept::Code(code), keep).await {
            Ok(user) => Ok(Opened { device_code: DeviceCode { secret, user }, user_code: user }),
            Err(error) => {
                self.counted().tally.ended(id);
                tell(&error);
                Err(Unopened::Later)
            }
        }
    }

    /// Answers a device that asks with its code.
    pub(super) async fn poll(
        &self,
        code: &DeviceCode,
        kind: &DeviceKind,
    ) -> Result<Answer, StoreError> {
        let id = code.id();
        let fetch = |code: &mut Code, now| (code.fetch(id, kind, now), code.interval);
        let Some((answer, interval)) = self.change(code.user, fetch).await? else {
            return Ok(Answer::Unknown);
        };
        let now = self.vault.clock().now();
        let tally = &mut self.counted().tally;
        Ok(match answer {
            Answer::Pending if tally.allows(id, interval, now) => Answer::Pending,
            Answer::Pending | Answer::SlowDown => Answer::SlowDown,
            answer @ (Answer::Denied | Answer::Expired | Answer::Granted(_) | Answer::Unknown) => {
                tally.ended(id);
                answer
            }
        })
    }

    /// Finds what a code asks for, where it waits for a person; a wrong one counts as a guess.
    pub(super) async fn look(&self, place: IpAddr, user: UserCode) -> Result<Found, Astray> {
        let now = self.vault.clock().now();
        // Spent before it is known, so that nobody has many answers under way at once.
        self.counted().guesses.take(place, now).map_err(Astray::TooMany)?;
        let found = match self.kept(user).await {
            Ok(Some(Kept::Code(code))) => match code.standing(self.vault.present()) {
                Standing::Waiting(left) => Ok(Found::SignIn(code.wish, left)),
                standing @ (Standing::Approved
                | Standing::Claimed
                | Standing::Denied
                | Standing::Expired) => Err(Astray::Over(standing)),
            },
            Ok(Some(Kept::Link(linked))) => Ok(Found::StepUp(linked)),
            // What a hold's own note says is under no user code.
            Ok(Some(Kept::Shown(_)) | None) => return Err(Astray::Wrong),
            Err(error) => Err(later(&error)),
        };
        self.counted().guesses.give_back(place);
        found
    }

    /// Takes a person's no.
    pub(super) async fn deny(&self, user: UserCode) -> Result<(), Astray> {
        let denied = self.change(user, |code, now| code.deny(now).map(|()| code.id)).await;
        let id = denied.map_err(|error| later(&error))?.ok_or(Astray::Wrong)?;
        self.counted().tally.ended(id.map_err(Astray::Over)?);
        Ok(())
    }

    /// Claims a code for a person whose yes is about to become a session.
    pub(super) async fn claim(&self, user: UserCode, by: Claim) -> Result<Wish, Astray> {
        let claimed =
            self.change(user, |code, now| code.claim(by, now).map(|()| code.wish.clone())).await;
        let wish = claimed.map_err(|error| later(&error))?.ok_or(Astray::Wrong)?;
        wish.map_err(Astray::Over)
    }

    /// Gives a claim back. Where the store does not answer, it is over by itself soon.
    pub(super) async fn release(&self, user: UserCode, by: Claim) {
        if let Err(error) = self.change(user, |code, _| code.release(by)).await {
            tell(&error);
        }
    }

    /// Keeps a session for its device; answers how long that may take.
    pub(super) async fn grant(
        &self,
        user: UserCode,
        by: Claim,
        handle: &AccessToken,
    ) -> Result<Duration, Ungranted> {
        let grant = |code: &mut Code, now| code.grant(by, handle.clone(), now);
        match self.change(user, grant).await {
            Ok(Some(Ok(left))) => Ok(left),
            Ok(Some(Err(_)) | None) => Err(Ungranted::Unclaimed),
            Err(error) => {
                tell(&error);
                Err(Ungranted::Later)
            }
        }
    }

    /// Takes a session back that no device has fetched; answers whether it was there.
    pub(super) async fn withdraw(
        &self,
        user: UserCode,
        handle: &AccessToken,
    ) -> Result<bool, StoreError> {
        let withdrawn = self.change(user, |code, _| code.withdraw(handle)).await?;
        Ok(withdrawn.unwrap_or(false))
    }

    /// Writes a note under a user code that nobody has.
    pub(super) async fn draw(&self, kept: &Kept, keep: Duration) -> Result<UserCode, StoreError> {
        let text = kept::write(kept, &self.vault)?;
        for _ in 0..DRAWS {
            // Of a hash of randomness, so that there is one source of it.
            let drawn = UserCode::of_random(&SessionHandle::random().key().0);
            let Some(user) = drawn else { continue };
            let key = of_user(&self.vault, user);
            match self.vault.write_note(key, None, &text, keep).await? {
                WroteNote::Done(_) => return Ok(user),
                WroteNote::Moved(_) => {}
            }
        }
        Err(StoreError::Busy { why: "no user code is free" })
    }

    async fn kept(&self, user: UserCode) -> Result<Option<Kept>, StoreError> {
        let note = self.vault.note(of_user(&self.vault, user)).await?;
        Ok(note.map(|note| kept::read(&note.text, &self.vault)).transpose()?)
    }

    /// Decides about a code, and writes it where that has changed it; `None` where there is none.
    async fn change<T>(
        &self,
        user: UserCode,
        mut decide: impl FnMut(&mut Code, Present) -> T,
    ) -> Result<Option<T>, StoreError> {
        let change = |text: Option<&[u8]>| {
            let Some(text) = text else { return Ok((None, None)) };
            let Kept::Code(before) = kept::read(text, &self.vault)? else {
                return Ok((None, None));
            };
            let now = self.vault.present();
            let mut code = before.clone();
            let decided = Some(decide(&mut code, now));
            if code == before {
                return Ok((decided, None));
            }
            let keep = code.keep(now);
            Ok((decided, Some((kept::write(&Kept::Code(code), &self.vault)?, keep))))
        };
        let decided = self.vault.change_note(of_user(&self.vault, user), change).await?;
        decided.ok_or(StoreError::Busy { why: "others change the same code" })
    }
}

/// Returns the note that a user code names.
pub(super) fn of_user(vault: &Vault, user: UserCode) -> NoteKey {
    vault.note_key("display's code", &[user.to_string().as_bytes()])
}

/// Says to a person that the store does not answer, and why to the operator.
fn later(error: &StoreError) -> Astray {
    tell(error);
    Astray::Later
}

pub(super) fn tell(error: &StoreError) {
    tracing::warn!(code = error.code(), %error, "a display cannot be served at the moment");
}
