//! `sim`: the same agent, with its panel drawn in the terminal and a wire that a key pulls.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::os::fd::AsFd as _;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use super::run::listen;
use super::{Failure, alarm, feed, runtime, say};
use crate::config::Config;
use crate::journal::Journal;
use crate::life::{Life, Order, Parts};
use crate::panel::terminal::{Dots, Terminal, Wire};
use crate::panel::{self, Make};
use crate::state::Store;

/// How many orders may wait: a person presses one key after the other.
const ORDERS_MAX: usize = 8;

/// The keys, under the panel.
const KEYS: &str = "w wire   space go on   q quit";

/// Runs the display in the terminal until a key or a signal ends it.
pub(super) fn sim(mut config: Config, make: Option<Make>, dots: Dots) -> Result<(), Failure> {
    config.fitting.make = make.unwrap_or(config.fitting.make);
    let (store, memory) = Store::open(&config.state_dir)?;
    let wire = Wire::default();
    if io::stdin().is_terminal() {
        say(KEYS);
    }
    let terminal = Terminal::new(io::stdout(), dots, wire.clone());
    let panel = panel::start(Box::new(terminal))
        .map_err(|error| Failure::unavailable(format!("no thread for the panel ({error})")))?;
    // The lines of a journal would tear the picture; the panel says the same in its own way.
    let journal = Journal::silent();
    let _keyboard = Keyboard::raw();
    runtime()?.block_on(async {
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        listen(&orders)?;
        tokio::spawn(keys(orders, wire));
        let feed = feed(&config).await?;
        let alarm = alarm()?;
        // A key stands for it, and says so under the panel.
        let has_button = true;
        let parts = Parts { config, feed, store, memory, panel, journal, alarm, has_button };
        Life::new(parts).run(ordered).await;
        Ok(())
    })
}

/// Reads keys as they are pressed, until there are no more.
async fn keys(orders: mpsc::Sender<Order>, wire: Wire) {
    // Held until the end: a loop without a source of orders would end.
    let Some(input) = keyboard() else {
        // A file or nothing for a keyboard: signals still end the program.
        orders.closed().await;
        return;
    };
    let mut key = [0];
    loop {
        let Ok(mut ready) = input.readable().await else { break };
        let mut keyboard: &File = ready.get_inner();
        match keyboard.read(&mut key) {
            Ok(1) => {}
            Ok(_) | Err(_) => break,
        }
        // There may be more bytes, of which the kernel told once: the next look asks it again.
        ready.clear_ready();
        let order = match key[0] {
            b'w' | b'W' => {
                wire.toggle();
                Some(Order::Looked)
            }
            b' ' => Some(Order::Asked),
            b'q' | b'Q' => Some(Order::Quit),
            _ => None,
        };
        if let Some(order) = order
            && orders.send(order).await.is_err()
        {
            return;
        }
    }
    orders.closed().await;
}

/// Watches the standard input without a thread that waits for it.
fn keyboard() -> Option<AsyncFd<File>> {
    let input = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    #[expect(unsafe_code, reason = "what is watched must stay the same descriptor")]
    // SAFETY: a file owns its descriptor, gives always the same one, and closes it when dropped.
    let watched = unsafe { AsyncFd::register_with_interest(input, Interest::READABLE) };
    watched.ok()
}

/// A terminal that gives each key at once and shows none; as it was before when dropped.
struct Keyboard(Option<Termios>);

impl Keyboard {
    fn raw() -> Self {
        let stdin = io::stdin();
        let Ok(before) = tcgetattr(stdin.as_fd()) else { return Self(None) };
        let mut raw = before.clone();
        raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        let is_set = tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &raw).is_ok();
        Self(is_set.then_some(before))
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // Where the terminal is gone, there is nothing to give back.
            let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, before);
        }
    }
}
