//! Static programs: what can be the only file of an image.

/// Marks a 64-bit, little-endian file in the Executable and Linkable Format.
const MAGIC: &[u8] = b"\x7fELF\x02\x01";
/// This machine's architecture as the format numbers it, and the name that people know.
#[cfg(target_arch = "x86_64")]
const MACHINE: (u16, &str) = (62, "x86_64");
#[cfg(target_arch = "aarch64")]
const MACHINE: (u16, &str) = (183, "aarch64");
/// Kind of a program header that names the loader of a dynamically linked program.
const KIND_INTERPRETER: u32 = 3;

/// A program that needs no loader and no library: it runs in an image that holds nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticProgram(Vec<u8>);

/// Why a file cannot be the only one of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// A script, say: its interpreter would not be in the image.
    #[error("not a 64-bit Linux program (ELF); a script cannot run in an image without its interpreter")]
    NotAProgram,
    /// Compiled for another processor.
    #[error("a program for machine number {found}, expected {} ({})", MACHINE.0, MACHINE.1)]
    OtherMachine {
        /// The number found in the file.
        found: u16,
    },
    /// It wants a loader, which the image would not have.
    #[error(
        "dynamically linked; link it statically (Rust: `-C target-feature=+crt-static`, C: `-static`, Go: \
         CGO_ENABLED=0)"
    )]
    Dynamic,
    /// Its tables point outside the file.
    #[error("cut off or damaged: its program headers lie outside the file")]
    Damaged,
}

impl StaticProgram {
    /// Checks that the file is a static program for this machine.
    pub fn new(file: Vec<u8>) -> Result<Self, ProgramError> {
        if !file.starts_with(MAGIC) {
            return Err(ProgramError::NotAProgram);
        }
        let machine = half(&file, 18).ok_or(ProgramError::Damaged)?;
        if machine != MACHINE.0 {
            return Err(ProgramError::OtherMachine { found: machine });
        }
        match kinds(&file).ok_or(ProgramError::Damaged)? {
            kinds if kinds.contains(&KIND_INTERPRETER) => Err(ProgramError::Dynamic),
            _ => Ok(Self(file)),
        }
    }

    /// The program's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The kinds of all program headers; `None` if one lies outside the file or there is none.
fn kinds(file: &[u8]) -> Option<Vec<u32>> {
    let first = usize::try_from(u64::from_le_bytes(piece(file, 32)?)).ok()?;
    let (size, count) = (usize::from(half(file, 54)?), usize::from(half(file, 56)?));
    let kinds = (0..count).map(|index| Some(u32::from_le_bytes(piece(file, first.checked_add(index * size)?)?)));
    kinds.collect::<Option<Vec<u32>>>().filter(|kinds| !kinds.is_empty())
}

fn half(file: &[u8], at: usize) -> Option<u16> {
    piece(file, at).map(u16::from_le_bytes)
}

fn piece<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::PAUSE_PROGRAM;

    #[test]
    fn the_pause_program_needs_nothing_from_its_image() {
        assert!(StaticProgram::new(PAUSE_PROGRAM.to_vec()).is_ok());
    }

    #[test]
    fn this_test_itself_is_dynamic_and_refused() {
        let own = std::fs::read(std::env::current_exe().expect("a path")).expect("a file");
        assert_eq!(StaticProgram::new(own), Err(ProgramError::Dynamic));
    }

    #[test]
    fn what_cannot_run_alone_is_refused_with_the_reason() {
        assert_eq!(StaticProgram::new(b"#!/bin/sh\n".to_vec()), Err(ProgramError::NotAProgram));
        assert_eq!(StaticProgram::new(Vec::new()), Err(ProgramError::NotAProgram));
        assert_eq!(StaticProgram::new(PAUSE_PROGRAM[..60].to_vec()), Err(ProgramError::Damaged));
        let mut foreign = PAUSE_PROGRAM.to_vec();
        foreign[18] = 8;
        assert_eq!(StaticProgram::new(foreign), Err(ProgramError::OtherMachine { found: 8 }));
    }
}
