//! What a component consists of, found without compiling it.

use serde::Serialize;
use wasmparser::{Encoding, Parser, Payload};

use crate::{
    engine::{CORE_INSTANCES, MEMORIES, TABLES},
    error::LoadError,
};

/// The parts of a component, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Anatomy {
    /// Size of the whole.
    pub bytes: usize,
    /// Size of machine-independent code.
    pub code_bytes: usize,
    /// Size of the data that memories begin with.
    pub data_bytes: usize,
    /// Core modules.
    pub modules: u64,
    /// Instances of core modules.
    pub core_instances: u64,
    /// Functions of core modules.
    pub functions: u64,
    /// Memories of core modules.
    pub memories: u64,
    /// Bytes those memories begin with.
    pub memory_bytes: u64,
    /// Tables of core modules.
    pub tables: u64,
}

impl Anatomy {
    /// Takes a component apart.
    ///
    /// # Errors
    ///
    /// When the bytes are no component, are cut off, or define more than the host sets aside for one instance.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, LoadError> {
        let not = |problem: String| LoadError::NotAComponent { problem };
        if !bytes.starts_with(b"\0asm") {
            return Err(not(match bytes {
                [] => "it is empty".to_owned(),
                [0x1f, 0x8b, ..] => "it is gzip-compressed".to_owned(),
                [0x28, 0xb5, 0x2f, 0xfd, ..] => "it is zstd-compressed".to_owned(),
                _ => "it does not begin like WebAssembly".to_owned(),
            }));
        }
        let mut anatomy = Self { bytes: bytes.len(), ..Self::default() };
        let mut top = true;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(|error| not(error.to_string()))?;
            if let Payload::Version { encoding, .. } = payload {
                if top && encoding == Encoding::Module {
                    return Err(not("it is a core module; wrap it as a component, for example with `mcsdns policy \
                                    build` or `wasm-tools component new`"
                        .to_owned()));
                }
                top = false;
            }
            anatomy.count(&payload).map_err(|error| not(error.to_string()))?;
        }
        let bounded = |what, found, limit| match found > limit {
            true => Err(LoadError::TooManyResources { what, found, limit }),
            false => Ok(()),
        };
        bounded("core instances", anatomy.core_instances, u64::from(CORE_INSTANCES))?;
        bounded("memories", anatomy.memories, u64::from(MEMORIES))?;
        bounded("tables", anatomy.tables, u64::from(TABLES))?;
        Ok(anatomy)
    }

    fn count(&mut self, payload: &Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::ModuleSection { .. } => self.modules += 1,
            Payload::InstanceSection(section) => self.core_instances += u64::from(section.count()),
            Payload::FunctionSection(section) => self.functions += u64::from(section.count()),
            Payload::CodeSectionStart { size, .. } => self.code_bytes += usize::try_from(*size).unwrap_or(usize::MAX),
            Payload::DataSection(section) => self.data_bytes += section.range().len(),
            Payload::TableSection(section) => self.tables += u64::from(section.count()),
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    let memory = memory?;
                    let page = 1_u64.checked_shl(memory.page_size_log2.unwrap_or(16)).unwrap_or(u64::MAX);
                    self.memories += 1;
                    self.memory_bytes = self.memory_bytes.saturating_add(memory.initial.saturating_mul(page));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(bytes: &[u8]) -> String {
        Anatomy::of(bytes).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_component_is_named() {
        for (bytes, part) in [
            (&b""[..], "empty"),
            (b"#!/bin/sh", "does not begin like WebAssembly"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (b"\0asm\x01\0\0\0", "core module"),
            (b"\0asm", "unexpected end"),
        ] {
            assert!(problem(bytes).contains(part), "{}", problem(bytes));
        }
    }

    #[test]
    fn parts_are_counted_through_all_levels() {
        let bytes = wat::parse_str(
            "(component (core module $m (memory 2) (table 1 funcref) (func)) (core instance (instantiate $m)))",
        )
        .unwrap();
        let anatomy = Anatomy::of(&bytes).unwrap();
        assert_eq!(
            (anatomy.modules, anatomy.core_instances, anatomy.functions, anatomy.memories, anatomy.memory_bytes),
            (1, 1, 1, 1, 131_072)
        );
    }

    #[test]
    fn too_many_parts_are_refused() {
        let memories = "(memory 1)".repeat(usize::try_from(MEMORIES).unwrap() + 1);
        let bytes = wat::parse_str(format!("(component (core module {memories}))")).unwrap();
        assert_eq!(
            Anatomy::of(&bytes),
            Err(LoadError::TooManyResources {
                what: "memories",
                found: u64::from(MEMORIES) + 1,
                limit: u64::from(MEMORIES)
            })
        );
    }
}
