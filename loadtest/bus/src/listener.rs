//! The one place that speaks to seccomp: three calls that no safe crate wraps.
#![expect(unsafe_code, reason = "nix wraps neither seccomp nor the structures of its listener")]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{
    SECCOMP_ADDFD_FLAG_SEND, SECCOMP_ADDFD_FLAG_SETFD, SECCOMP_FILTER_FLAG_NEW_LISTENER,
    SECCOMP_IOCTL_NOTIF_ADDFD, SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND,
    SECCOMP_SET_MODE_FILTER, SECCOMP_USER_NOTIF_FLAG_CONTINUE, seccomp_notif, seccomp_notif_addfd,
    seccomp_notif_resp, sock_fprog,
};
use nix::errno::Errno;
use nix::sys::prctl;

use crate::filter;

/// Receives system calls of the thread that installed it, and of all programs that it started.
#[derive(Debug)]
pub(crate) struct Listener(OwnedFd);

/// A system call that waits for our answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    id: u64,
    /// The thread that called.
    pub(crate) thread: u32,
    /// What it called.
    pub(crate) number: libc::c_long,
    /// With what.
    pub(crate) arguments: [u64; 6],
}

impl Listener {
    /// Installs the filter for this thread and whatever it starts; other threads are not touched.
    ///
    /// It cannot be taken off: the thread must end with its programs.
    pub(crate) fn install() -> io::Result<Self> {
        prctl::set_no_new_privs()?;
        let mut program = filter::program();
        let length = u16::try_from(program.len()).map_err(io::Error::other)?;
        let program = sock_fprog { len: length, filter: program.as_mut_ptr() };
        // SAFETY: `program` points to `length` instructions that live until the call returns.
        let listener = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                SECCOMP_SET_MODE_FILTER,
                SECCOMP_FILTER_FLAG_NEW_LISTENER,
                ptr::from_ref(&program),
            )
        };
        let listener = RawFd::try_from(Errno::result(listener)?).map_err(io::Error::other)?;
        // SAFETY: the kernel has just opened this file for us, and nobody else knows of it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(listener) }))
    }

    /// Waits for the next call.
    pub(crate) fn receive(&self) -> Result<Call, Errno> {
        // SAFETY: the structure is plain numbers, and the kernel demands that all are zero.
        let mut call: seccomp_notif = unsafe { mem::zeroed() };
        // SAFETY: the kernel fills exactly the structure that the request is defined for.
        let received = unsafe {
            libc::ioctl(self.0.as_raw_fd(), SECCOMP_IOCTL_NOTIF_RECV, ptr::from_mut(&mut call))
        };
        Errno::result(received)?;
        Ok(Call {
            id: call.id,
            thread: call.pid,
            number: call.data.nr.into(),
            arguments: call.data.args,
        })
    }

    /// Lets the kernel do the call as if we were not there.
    pub(crate) fn let_through(&self, call: &Call) -> Result<(), Errno> {
        self.respond(call, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32)
    }

    /// Answers the call in the kernel's place.
    pub(crate) fn answer(&self, call: &Call, result: Result<i64, Errno>) -> Result<(), Errno> {
        match result {
            Ok(value) => self.respond(call, value, 0, 0),
            Err(error) => self.respond(call, 0, -(error as i32), 0),
        }
    }

    fn respond(&self, call: &Call, value: i64, error: i32, flags: u32) -> Result<(), Errno> {
        let mut response = seccomp_notif_resp { id: call.id, val: value, error, flags };
        // SAFETY: the kernel reads exactly the structure that the request is defined for.
        let sent = unsafe {
            libc::ioctl(self.0.as_raw_fd(), SECCOMP_IOCTL_NOTIF_SEND, ptr::from_mut(&mut response))
        };
        Errno::result(sent).map(drop)
    }

    /// Answers an opening with a file of ours under the wanted number.
    pub(crate) fn give(&self, call: &Call, file: BorrowedFd<'_>, number: u32) -> Result<(), Errno> {
        let flags = (SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND) as u32;
        self.add(call, file, flags, number).map(drop)
    }

    /// Gives a file of ours to a program that still waits for its answer; returns the number that
    /// it has there.
    pub(crate) fn lend(&self, call: &Call, file: BorrowedFd<'_>) -> Result<i32, Errno> {
        self.add(call, file, 0, 0)
    }

    fn add(
        &self,
        call: &Call,
        file: BorrowedFd<'_>,
        flags: u32,
        number: u32,
    ) -> Result<i32, Errno> {
        let mut gift = seccomp_notif_addfd {
            id: call.id,
            flags,
            srcfd: file.as_raw_fd() as u32,
            newfd: number,
            newfd_flags: libc::O_CLOEXEC as u32,
        };
        // SAFETY: the kernel reads exactly the structure that the request is defined for, and
        // copies the file, which stays open for the length of the call.
        let given = unsafe {
            libc::ioctl(self.0.as_raw_fd(), SECCOMP_IOCTL_NOTIF_ADDFD, ptr::from_mut(&mut gift))
        };
        Errno::result(given)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
