//! The narrow water between a gateway and its Redis: a relay of bytes that can be cut, held up, made
//! slow, or made to answer as a server that still loads. It needs no rights of a superuser.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokenward_programs::failure::Failure;

/// What is taken over in one go.
const PIECE_BYTES: usize = 16 << 10;
/// How often a relay that is held up looks whether it may go on.
const LOOK_GAP: Duration = Duration::from_millis(10);
/// What a server says that reads its log (Redis, LOADING).
const LOADING: &[u8] = b"-LOADING Redis is loading the dataset in memory\r\n";

/// How the water is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Bytes go through at once.
    Calm,
    /// All connections are broken, and none is made.
    Cut,
    /// Bytes are held, and connections stay: what a lost route looks like.
    Stalled,
    /// Bytes take so much longer each way.
    Slow(Duration),
    /// Whatever is asked is answered as by a server that loads.
    Loading,
}

/// One relay, on a port of its own. It ends with the program.
#[derive(Clone, Debug)]
pub(crate) struct Strait {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    to: u16,
    /// [`Weather`] as a number: slow weather by its milliseconds.
    weather: AtomicU64,
    /// Both ends of the connections that are open.
    open: Mutex<Vec<End>>,
}

/// One end of a connection.
#[derive(Debug)]
struct End {
    stream: TcpStream,
    /// We speak here in place of the server.
    spoken: bool,
}

impl Strait {
    /// Opens a relay to a port of this machine.
    ///
    /// # Errors
    /// `Unavailable` when no port is free.
    pub(crate) fn open(to: u16) -> Result<Self, Failure> {
        let fail = |error: io::Error| Failure::io("open a relay", &error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(fail)?;
        let port = listener.local_addr().map_err(fail)?.port();
        let weather = AtomicU64::new(Weather::Calm.number());
        let shared = Arc::new(Shared { to, weather, open: Mutex::default() });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                accepting.take(near);
            }
        });
        Ok(Self { port, shared })
    }

    /// Returns the port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Changes the weather, for open connections and new ones.
    pub(crate) fn turn(&self, weather: Weather) {
        self.shared.weather.store(weather.number(), Ordering::SeqCst);
        // Whoever was told that the server loads speaks to nobody: a new connection is needed.
        if matches!(weather, Weather::Cut | Weather::Loading | Weather::Calm) {
            self.shared.break_all(matches!(weather, Weather::Calm));
        }
    }
}

impl Weather {
    const STALLED: u64 = u64::MAX;
    const CUT: u64 = u64::MAX - 1;
    const LOADING: u64 = u64::MAX - 2;

    fn number(self) -> u64 {
        match self {
            Self::Calm => 0,
            Self::Cut => Self::CUT,
            Self::Stalled => Self::STALLED,
            Self::Slow(by) => u64::try_from(by.as_millis()).unwrap_or(Self::LOADING - 1),
            Self::Loading => Self::LOADING,
        }
    }

    fn of(number: u64) -> Self {
        match number {
            0 => Self::Calm,
            Self::CUT => Self::Cut,
            Self::STALLED => Self::Stalled,
            Self::LOADING => Self::Loading,
            by => Self::Slow(Duration::from_millis(by)),
        }
    }
}

impl Shared {
    fn weather(&self) -> Weather {
        Weather::of(self.weather.load(Ordering::SeqCst))
    }

    fn take(self: &Arc<Self>, near: TcpStream) {
        match self.weather() {
            Weather::Cut => drop(near),
            Weather::Loading => {
                let this = Arc::clone(self);
                self.keep(&near, true);
                thread::spawn(move || this.load(near));
            }
            Weather::Calm | Weather::Stalled | Weather::Slow(_) => {
                // Where the server itself is down, the caller finds its connection closed.
                let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.to)) else {
                    return;
                };
                for end in [&near, &far] {
                    // A small command waits for nothing.
                    let _ = end.set_nodelay(true);
                    self.keep(end, false);
                }
                let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else {
                    return;
                };
                for (from, to) in [(near, far_too), (far, near_too)] {
                    let this = Arc::clone(self);
                    thread::spawn(move || this.relay(from, to));
                }
            }
        }
    }

    /// Keeps an end, so that it can be broken from outside; `spoken` where it leads to no server.
    fn keep(&self, stream: &TcpStream, spoken: bool) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // A stream that was closed has no peer.
        open.retain(|end| end.stream.peer_addr().is_ok());
        if let Ok(stream) = stream.try_clone() {
            open.push(End { stream, spoken });
        }
    }

    /// Breaks all connections, or only those that lead to no server.
    fn break_all(&self, only_spoken: bool) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|end| {
            let breaks = end.spoken || !only_spoken;
            if breaks {
                // Fails only where it is broken already.
                let _ = end.stream.shutdown(Shutdown::Both);
            }
            !breaks
        });
    }

    /// Takes bytes over until either end is closed.
    fn relay(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(read @ 1..) = from.read(&mut piece) {
            if let Weather::Slow(by) = self.weather() {
                thread::sleep(by);
            }
            while self.weather() == Weather::Stalled {
                thread::sleep(LOOK_GAP);
            }
            if to.write_all(&piece[..read]).is_err() {
                break;
            }
        }
        for end in [from, to] {
            // Fails only where it is broken already.
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Answers each command as a server that loads.
    fn load(&self, mut near: TcpStream) {
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(read @ 1..) = near.read(&mut piece) {
            let answers = commands(&piece[..read]).max(1);
            if near.write_all(&LOADING.repeat(answers)).is_err() {
                return;
            }
        }
    }
}

/// Counts the commands in what a client sends: each is an array (`*N`) at the start of a line.
fn commands(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').filter(|line| line.first() == Some(&b'*')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut byte = [0];
                    while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
                });
            }
        });
        port
    }

    fn asked(stream: &mut TcpStream) -> io::Result<u8> {
        stream.write_all(b"*")?;
        let mut byte = [0];
        stream.read_exact(&mut byte).map(|()| byte[0])
    }

    #[test]
    fn the_weather_decides_what_a_caller_meets() {
        let strait = Strait::open(echo()).unwrap();
        let enter = || TcpStream::connect((Ipv4Addr::LOCALHOST, strait.port())).unwrap();
        let mut first = enter();
        assert_eq!(asked(&mut first).unwrap(), b'*');
        strait.turn(Weather::Cut);
        assert!(asked(&mut first).is_err());
        assert!(asked(&mut enter()).is_err());
        strait.turn(Weather::Loading);
        let mut loading = enter();
        assert_eq!(asked(&mut loading).unwrap(), b'-');
        strait.turn(Weather::Calm);
        let mut rest = Vec::new();
        // Either end may have closed first; the connection is over in both cases.
        let _ = loading.read_to_end(&mut rest);
        assert_eq!(asked(&mut enter()).unwrap(), b'*');
    }

    #[test]
    fn weather_is_kept_as_a_number() {
        let slow = Weather::Slow(Duration::from_millis(250));
        for weather in [Weather::Calm, Weather::Cut, Weather::Stalled, Weather::Loading, slow] {
            assert_eq!(Weather::of(weather.number()), weather);
        }
    }
}
