//! Keys as they are pressed, where a person sits at a terminal.

use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

/// A keyboard that gives each key at once and shows none. Dropping it gives the terminal back as it
/// was.
#[derive(Debug)]
pub(super) struct Keys {
    pressed: Receiver<u8>,
    before: Termios,
}

impl Keys {
    /// Takes the keyboard; nothing where nobody sits at one.
    pub(super) fn take() -> Option<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        let before = tcgetattr(stdin.as_fd()).ok()?;
        let mut raw = before.clone();
        raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &raw).ok()?;
        let (sender, pressed) = mpsc::channel();
        // Ends with the program, or when nobody takes the keys.
        thread::spawn(move || {
            for key in io::stdin().lock().bytes().map_while(Result::ok) {
                if sender.send(key).is_err() {
                    return;
                }
            }
        });
        Some(Self { pressed, before })
    }

    /// Returns the next key that was pressed, in lower case.
    pub(super) fn next(&self) -> Option<u8> {
        self.pressed.try_recv().ok().map(|key| key.to_ascii_lowercase())
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // Where the terminal is gone, there is nothing to give back.
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, &self.before);
    }
}
