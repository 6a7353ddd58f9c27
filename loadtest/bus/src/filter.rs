//! Which system calls of a program are put before us: openings of files, and whatever is done with
//! the files that we gave it. Beside them, its clock is one that is kept.

use std::ops::RangeInclusive;

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW,
    SECCOMP_RET_ERRNO, SECCOMP_RET_USER_NOTIF, sock_filter,
};

/// The numbers of the files that we give out: above what any program of ours opens by itself, and
/// below the usual limit of 1024.
pub(crate) const OUR_FILES: RangeInclusive<u32> = 900..=999;

/// The kernel's name of the instruction set that these numbers of system calls are for.
#[cfg(target_arch = "x86_64")]
const OUR_SET: u32 = 0xc000_003e;
/// The kernel's name of the instruction set that these numbers of system calls are for.
#[cfg(target_arch = "aarch64")]
const OUR_SET: u32 = 0xc000_00b7;

/// Calls that open files: each is looked at, for its path cannot be read by a filter.
#[cfg(target_arch = "x86_64")]
const OPENING: [libc::c_long; 2] = [libc::SYS_openat, libc::SYS_open];
/// Calls that open files: each is looked at, for its path cannot be read by a filter.
#[cfg(target_arch = "aarch64")]
const OPENING: [libc::c_long; 1] = [libc::SYS_openat];

/// Calls that ask whether something keeps the clock right. They are answered with zero and nothing
/// more, which means yes: programs see the same on every machine, whoever keeps its clock.
const ASKING_THE_CLOCK: [libc::c_long; 2] = [libc::SYS_adjtimex, libc::SYS_clock_adjtime];

/// Calls on an open file, which matter only where we gave it.
const ON_A_FILE: [libc::c_long; 4] =
    [libc::SYS_ioctl, libc::SYS_read, libc::SYS_write, libc::SYS_close];

/// Where `struct seccomp_data` keeps the number of the call.
const NUMBER_AT: u32 = 0;
/// Where `struct seccomp_data` keeps the instruction set.
const SET_AT: u32 = 4;
/// Where `struct seccomp_data` keeps the lower half of the first argument (little endian).
const FIRST_ARGUMENT_AT: u32 = 16;

/// Returns the program for the kernel.
pub(crate) fn program() -> Vec<sock_filter> {
    let (opening, on_a_file) = (OPENING.len() as u8, ON_A_FILE.len() as u8);
    let mut program = vec![load(SET_AT), jump(BPF_JEQ, OUR_SET, 1, 0), answer(SECCOMP_RET_ALLOW)];
    program.push(load(NUMBER_AT));
    for call in ASKING_THE_CLOCK {
        program.push(jump(BPF_JEQ, call as u32, 0, 1));
        program.push(answer(SECCOMP_RET_ERRNO));
    }
    // Behind the two lists stand: allow, four steps that look at the file, allow, notify.
    for (at, call) in (0..).zip(OPENING) {
        program.push(jump(BPF_JEQ, call as u32, opening - at - 1 + on_a_file + 5, 0));
    }
    for (at, call) in (0..).zip(ON_A_FILE) {
        program.push(jump(BPF_JEQ, call as u32, on_a_file - at, 0));
    }
    program.push(answer(SECCOMP_RET_ALLOW));
    program.push(load(FIRST_ARGUMENT_AT));
    program.push(jump(BPF_JGE, *OUR_FILES.start(), 0, 1));
    program.push(jump(BPF_JGE, OUR_FILES.end() + 1, 0, 1));
    program.push(answer(SECCOMP_RET_ALLOW));
    program.push(answer(SECCOMP_RET_USER_NOTIF));
    program
}

fn load(offset: u32) -> sock_filter {
    sock_filter { code: (BPF_LD | BPF_W | BPF_ABS) as u16, jt: 0, jf: 0, k: offset }
}

fn jump(test: u32, against: u32, steps_if: u8, steps_if_not: u8) -> sock_filter {
    let code = (BPF_JMP | test | BPF_K) as u16;
    sock_filter { code, jt: steps_if, jf: steps_if_not, k: against }
}

fn answer(verdict: u32) -> sock_filter {
    sock_filter { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: verdict }
}
