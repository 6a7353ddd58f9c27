//! Sessions that call by themselves, so that there is something to refresh.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokenward_programs::http::Caller;

use crate::crash::crowd::Member;

/// Between two calls of one: each ten-second token serves several.
const GAP: Duration = Duration::from_millis(900);
/// What each calls in turn.
const PATHS: [&str; 2] = ["/api/quotes/quote", "/api/accounts/accounts"];

/// The residents at work.
#[derive(Debug)]
pub(super) struct Residents {
    leave: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Residents {
    /// Lets them call, whatever they are told.
    pub(super) fn start(origin: &str, members: &[Member]) -> Self {
        let leave = Arc::new(AtomicBool::new(false));
        let threads = members.iter().map(|member| {
            let (origin, authorization) = (origin.to_owned(), member.authorization());
            let leave = Arc::clone(&leave);
            thread::spawn(move || {
                let caller = Caller::new();
                for path in PATHS.iter().cycle() {
                    if leave.load(Ordering::Relaxed) {
                        return;
                    }
                    let headers = [("authorization", authorization.as_str())];
                    // What they hear is seen on the gateways' own lines.
                    let _ = caller.fetch(&format!("{origin}{path}"), &headers);
                    thread::sleep(GAP);
                }
            })
        });
        let threads = threads.collect();
        Self { leave, threads }
    }

    /// Sends them home.
    pub(super) fn leave(self) {
        self.leave.store(true, Ordering::Relaxed);
        for thread in self.threads {
            // One that panicked has only stopped calling.
            let _ = thread.join();
        }
    }
}
