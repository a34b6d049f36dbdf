//! Bounds on the shape of an upload, looked at before it is compiled: what is small in bytes can be large to a compiler.

use wasmparser::{Parser, Payload};

use super::LoadError;

/// Components and modules within each other, the upload itself counted.
const MAX_DEPTH: u64 = 16;
/// Modules and components in an upload. Interpreters come as about a dozen.
const MAX_PARTS: u64 = 256;
/// Functions in an upload. CPython with its libraries has some 30,000.
const MAX_FUNCTIONS: u64 = 200_000;
/// Bytes of one function: the compiler's time grows faster than its size.
const MAX_FUNCTION_BYTES: u64 = 1 << 20;
/// Types, imports, exports, globals, instances, aliases and canonical functions in an upload, each.
const MAX_ITEMS: u64 = 200_000;
/// Memories and tables in an upload, each; how many an instance may have is [`super::limiter`]'s.
const MAX_MEMORIES: u64 = 256;

/// Checks the shape of a component without compiling it.
///
/// # Errors
/// [`LoadError::TooComplex`] names what there is too much of; [`LoadError::NotAComponent`] where the bytes cannot be read.
pub(super) fn check(wasm: &[u8]) -> Result<(), LoadError> {
    let mut counts = Counts::default();
    let mut depth = 1_u64;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(|error| LoadError::NotAComponent(error.to_string()))?;
        match &payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth += 1;
                at_most("levels of nested components", depth, MAX_DEPTH)?;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        counts.add(&payload)?;
    }
    Ok(())
}

#[derive(Default)]
struct Counts {
    parts: u64,
    functions: u64,
    types: u64,
    imports: u64,
    exports: u64,
    globals: u64,
    instances: u64,
    aliases: u64,
    canonicals: u64,
    memories: u64,
    tables: u64,
}

impl Counts {
    fn add(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        let (what, count, more, limit) = match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => ("nested parts", &mut self.parts, 1, MAX_PARTS),
            Payload::CodeSectionEntry(body) => {
                at_most("bytes in one function", body.range().len() as u64, MAX_FUNCTION_BYTES)?;
                return Ok(());
            }
            Payload::FunctionSection(section) => ("functions", &mut self.functions, section.count(), MAX_FUNCTIONS),
            Payload::TypeSection(section) => ("types", &mut self.types, section.count(), MAX_ITEMS),
            Payload::ComponentTypeSection(section) => ("types", &mut self.types, section.count(), MAX_ITEMS),
            Payload::CoreTypeSection(section) => ("types", &mut self.types, section.count(), MAX_ITEMS),
            Payload::ImportSection(section) => ("imports", &mut self.imports, section.count(), MAX_ITEMS),
            Payload::ComponentImportSection(section) => ("imports", &mut self.imports, section.count(), MAX_ITEMS),
            Payload::ExportSection(section) => ("exports", &mut self.exports, section.count(), MAX_ITEMS),
            Payload::ComponentExportSection(section) => ("exports", &mut self.exports, section.count(), MAX_ITEMS),
            Payload::GlobalSection(section) => ("globals", &mut self.globals, section.count(), MAX_ITEMS),
            Payload::InstanceSection(section) => ("instances", &mut self.instances, section.count(), MAX_ITEMS),
            Payload::ComponentInstanceSection(section) => ("instances", &mut self.instances, section.count(), MAX_ITEMS),
            Payload::ComponentAliasSection(section) => ("aliases", &mut self.aliases, section.count(), MAX_ITEMS),
            Payload::ComponentCanonicalSection(section) => {
                ("canonical functions", &mut self.canonicals, section.count(), MAX_ITEMS)
            }
            Payload::MemorySection(section) => ("memories", &mut self.memories, section.count(), MAX_MEMORIES),
            Payload::TableSection(section) => ("tables", &mut self.tables, section.count(), MAX_MEMORIES),
            _ => return Ok(()),
        };
        *count += u64::from(more);
        at_most(what, *count, limit)
    }
}

fn at_most(what: &'static str, found: u64, allowed: u64) -> Result<(), LoadError> {
    if found <= allowed { Ok(()) } else { Err(LoadError::TooComplex { what, found, allowed }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_bounded() {
        fn check(wat: &str, expect: &str) {
            let wasm = wat::parse_str(wat).unwrap();
            let error = super::check(&wasm).unwrap_err();
            assert!(matches!(error, LoadError::TooComplex { .. }) && error.to_string().contains(expect), "{error}");
        }
        let repeated = |part: &str, times: usize| format!("(component {})", part.repeat(times));
        check(&format!("{}{}", "(component ".repeat(17), ")".repeat(17)), "17 levels");
        check(&repeated("(core module)", 257), "257 nested parts");
        check(&repeated("(type u8)", 200_001), "200001 types");
        check(&format!("(component (core module {}))", "(memory 0)".repeat(257)), "257 memories");
        check(&format!("(component (core module (func {})))", "nop ".repeat(1 << 20)), "bytes in one function");
        super::check(&wat::parse_str(repeated("(core module (func) (memory 1))", 256)).unwrap()).unwrap();
        super::check(&wat::parse_str(format!("{}{}", "(component ".repeat(16), ")".repeat(16))).unwrap()).unwrap();
    }

    #[test]
    fn damaged_bytes_are_no_component() {
        for bytes in [&b"\0asm\r\0\x01\0\x01\xff\xff\xff\xff\x0f"[..], b"\0asm\r\0\x01\0\x04\x03\0as", b"\0asm\r\0\x01\0\xff\0"] {
            assert!(matches!(check(bytes), Err(LoadError::NotAComponent(_))), "{bytes:?}");
        }
    }
}
