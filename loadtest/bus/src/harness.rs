//! Starts an unmodified program that finds our adapter where it looks for one.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::adapter::Adapter;
use crate::kernel::Kernel;
use crate::lines::Lines;
use crate::listener::Listener;

/// A running program with our adapter as one of its devices. Dropping it kills the program.
#[derive(Debug)]
pub struct Harness {
    child: Child,
    /// Lets go of the thread that the program was started from.
    release: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Harness {
    /// Starts the program; each opening of `node` leads to the adapter.
    ///
    /// The filter is set on a thread of its own, from which the program is started: programs
    /// inherit it, and the other threads here are free of it. The program dies with us.
    ///
    /// Its words on standard output and standard error are appended to `log`.
    ///
    /// # Errors
    /// Fails where the kernel has no user notification (before 5.14) or the program cannot start.
    pub fn start(
        command: &Command,
        node: &Path,
        adapter: &Adapter,
        log: &File,
    ) -> io::Result<Self> {
        Self::start_with_lines(command, node, (adapter, &Lines::default()), log)
    }

    /// Starts the program as [`Harness::start`] does; each opening of `/dev/gpiochip0` leads to the
    /// lines.
    ///
    /// # Errors
    /// As [`Harness::start`].
    pub fn start_with_lines(
        command: &Command,
        node: &Path,
        (adapter, lines): (&Adapter, &Lines),
        log: &File,
    ) -> io::Result<Self> {
        let (release, released) = mpsc::channel();
        let (tell_listener, listener) = mpsc::channel();
        let (tell_child, child) = mpsc::channel();
        let mut wrapped = until_we_die(command);
        wrapped.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
        let launcher = thread::Builder::new().name("bus-launcher".to_owned()).spawn(move || {
            launch(wrapped, &tell_listener, &tell_child, &released);
        })?;
        let listener = listener.recv().map_err(io::Error::other)??;
        let (adapter, lines, node) = (adapter.clone(), lines.clone(), node.to_owned());
        let stand_in = File::open("/dev/null")?;
        let kernel = thread::Builder::new().name("bus-kernel".to_owned()).spawn(move || {
            answer_all(&listener, &mut Kernel::new(&listener, (&adapter, &lines), node, stand_in));
        })?;
        let child = child.recv().map_err(io::Error::other)??;
        Ok(Self { child, release: Some(release), threads: vec![launcher, kernel] })
    }

    /// Returns the number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the program, for its output and its end.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Kills the program and waits for its end.
    ///
    /// # Errors
    /// Fails where the kernel knows nothing of the program.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        // Fails only when the program has ended by itself.
        let _ = self.kill();
        self.release.take();
        for thread in self.threads.drain(..) {
            // A thread that panicked has told so on standard error.
            let _ = thread.join();
        }
    }
}

/// Installs the filter, starts the program, and stays: the program dies with its first thread's
/// parent, which is this thread.
fn launch(
    mut command: Command,
    listener: &Sender<io::Result<Listener>>,
    child: &Sender<io::Result<Child>>,
    released: &Receiver<()>,
) {
    let installed = Listener::install();
    let failed = installed.is_err();
    if listener.send(installed).is_err() || failed {
        return;
    }
    if child.send(command.spawn()).is_ok() {
        // Ends when the harness is dropped.
        let _ = released.recv();
    }
}

/// Answers until nobody is left who could call.
fn answer_all(listener: &Listener, kernel: &mut Kernel<'_>) {
    while is_watched(listener) {
        match listener.receive() {
            // A program that ended while we answered needs no answer.
            Ok(call) => drop(kernel.answer(&call)),
            Err(Errno::ENOENT | Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

/// Waits for a call; tells whether there may be one. The wait ends with the program and the thread
/// that started it, for then the kernel hangs up.
fn is_watched(listener: &Listener) -> bool {
    let mut watched = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    match poll(&mut watched, PollTimeout::NONE) {
        Ok(_) => watched[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN)),
        Err(error) => error == Errno::EINTR,
    }
}

/// Asks the kernel to kill the program when we end without having stopped it.
fn until_we_die(command: &Command) -> Command {
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}
