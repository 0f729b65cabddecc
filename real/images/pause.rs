//! `pause`: process 1 of every pod sandbox. It holds the pod's network and IPC namespaces open and reaps orphans.
//!
//! Free-standing on purpose: no standard library, no C library, five system calls. It therefore builds on any machine
//! with Rust, also where no static C library is installed, and the image is a few kilobytes. `build.rs` compiles this
//! one file; it is not a crate of the workspace.
//!
//! Invariant: it leaves with 0 on SIGTERM and SIGINT. A process 1 never receives a signal whose action is the default
//! one, so the signals are blocked and waited for: the kernel queues blocked signals for process 1 too.
//! A signal that comes before they are blocked is lost, as with every process 1; the one line of output says that this
//! has happened. Absent on purpose: arguments, sharing of the process namespace's reaping duty with a shell.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

const SIGINT: u32 = 2;
const SIGTERM: u32 = 15;
const SIGCHLD: u32 = 17;
const SIG_BLOCK: usize = 0;
/// Size in bytes of the kernel's signal set (64 signals).
const SIGSET_BYTES: usize = 8;
const WNOHANG: usize = 1;
const STANDARD_OUTPUT: usize = 1;
const READY: &[u8] = b"holding the pod's namespaces\n";
const ANY_CHILD: usize = usize::MAX;

#[cfg(target_arch = "x86_64")]
mod number {
    pub const WRITE: usize = 1;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const WAIT4: usize = 61;
    pub const RT_SIGTIMEDWAIT: usize = 128;
    pub const EXIT_GROUP: usize = 231;
}
#[cfg(target_arch = "aarch64")]
mod number {
    pub const WRITE: usize = 64;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const WAIT4: usize = 260;
    pub const RT_SIGTIMEDWAIT: usize = 137;
    pub const EXIT_GROUP: usize = 94;
}

// The kernel enters with an arbitrary frame pointer and no return address: align the stack, then never come back.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "and rsp, -16", "call {main}", "ud2", main = sym main);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, xzr", "mov x30, xzr", "bl {main}", "brk #1", main = sym main);

extern "C" fn main() -> ! {
    let waited = bit(SIGINT) | bit(SIGTERM) | bit(SIGCHLD);
    let set = &raw const waited as usize;
    system_call(number::RT_SIGPROCMASK, [SIG_BLOCK, set, 0, SIGSET_BYTES]);
    // A full or closed output must not keep a pod from living: the result is of no interest.
    system_call(number::WRITE, [STANDARD_OUTPUT, READY.as_ptr() as usize, READY.len(), 0]);
    loop {
        let signal = system_call(number::RT_SIGTIMEDWAIT, [set, 0, 0, SIGSET_BYTES]);
        if signal == SIGTERM as isize || signal == SIGINT as isize {
            system_call(number::EXIT_GROUP, [0; 4]);
        }
        // One SIGCHLD can stand for many children: blocked signals of one kind do not queue up.
        while system_call(number::WAIT4, [ANY_CHILD, 0, WNOHANG, 0]) > 0 {}
    }
}

const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// One system call of at most four arguments; a negative result is the negated error number.
fn system_call(number: usize, arguments: [usize; 4]) -> isize {
    let result: isize;
    // SAFETY: the only pointers ever passed are `waited` in `main` and `READY`; both live as long as the process and
    // are only read.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") arguments[0], in("rsi") arguments[1],
             in("rdx") arguments[2], in("r10") arguments[3], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") arguments[0] => result, in("x1") arguments[1],
             in("x2") arguments[2], in("x3") arguments[3], options(nostack));
    }
    result
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        system_call(number::EXIT_GROUP, [70, 0, 0, 0]);
    }
}
