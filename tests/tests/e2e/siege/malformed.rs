//! Uploads that are no plugins, and some that are made to be hard on who looks at them.

use hawser_e2e::Plugin;

/// Name, bytes, and a part of the refusal.
pub fn uploads() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = Plugin::built("hostile-suite/neighbour").bytes;
    let mut flipped = good.clone();
    flipped[8..64].fill(0xff);
    let mut holes = good.clone();
    holes.chunks_mut(997).for_each(|chunk| chunk[0] ^= 0x55);
    let text = |wat: &str| wat::parse_str(wat).expect("the test's component is well-formed");
    let exporting = |imports: &str| {
        text(&format!(r#"(component {imports} (instance $e) (export "hawser:connect/plugin@0.1.0" (instance $e)))"#))
    };
    vec![
        ("nothing", Vec::new(), "does not begin like WebAssembly"),
        ("a page", b"<!doctype html><title>404</title>".to_vec(), "does not begin like WebAssembly"),
        ("a program", std::fs::read("/proc/self/exe").expect("this program")[..4096].to_vec(), "does not begin like WebAssembly"),
        ("its text", b"(component)".to_vec(), "does not begin like WebAssembly"),
        ("a head", b"\0asm".to_vec(), "not a component"),
        ("a module", text("(module)"), "core module"),
        ("a half", good[..good.len() / 2].to_vec(), "not a component"),
        ("a damaged head", flipped, "not a component"),
        ("holes", holes, "not a component"),
        ("an empty component", text("(component)"), "exports no hawser:connect/plugin"),
        (
            "of the future",
            text(r#"(component (instance $e) (export "hawser:connect/plugin@9.0.0" (instance $e)))"#),
            "built against hawser:connect 9.0.0",
        ),
        ("a shell", exporting(r#"(import "evil:host/shell" (instance (export "run" (func))))"#), "evil:host/shell"),
        ("threads", exporting(r#"(import "wasi:thread/spawn@0.2.0" (instance))"#), "wasi:thread/spawn"),
        ("a time zone", exporting(r#"(import "wasi:clocks/wall-clock@0.3.0" (instance))"#), "wasi:clocks/wall-clock@0.3.0"),
        ("secrets", exporting(r#"(import "hawser:connect/secrets@0.1.0" (instance))"#), "hawser:connect/secrets"),
        ("a misfit", exporting(r#"(import "wasi:random/random@0.2.0" (instance (export "root" (func))))"#), "root"),
        ("nests", text(&format!("{}{}", "(component ".repeat(60), ")".repeat(60))), "levels of nested components"),
        ("a crowd", text(&format!("(component {})", "(core module)".repeat(300))), "nested parts"),
        ("functions", functions(250_000), "functions"),
        (
            "a long function",
            text(&format!("(component (core module (func {})))", "nop ".repeat(2 << 20))),
            "bytes in one function",
        ),
        ("types", text(&format!("(component {})", "(type u8)".repeat(250_000))), "types"),
        ("memories", text(&format!("(component (core module {}))", "(memory 1)".repeat(90))), "memories"),
        ("a first loop", starting("(func $s (loop (br 0))) (start $s)"), "sandbox.cpu.ms"),
        ("a first crash", starting("(func $s unreachable) (start $s)"), "crashed in describe"),
        ("a first descent", starting("(func $s (call $s)) (start $s)"), "call stack exhausted"),
        ("growing memory", starting(&growing("(memory 1)", "(memory.grow (i32.const 16))")), "sandbox.memory.bytes"),
        (
            "growing tables",
            starting(&growing("(table 1 funcref)", "(table.grow 0 (ref.null func) (i32.const 1000))")),
            "sandbox.table.elements",
        ),
        ("a vast memory", starting("(memory 65535)"), "memory"),
        ("a vast table", starting("(table 9000000 funcref)"), "table"),
        ("many tables", starting(&"(table 1 funcref)".repeat(90)), "table"),
        ("many memories", starting(&"(memory 1)".repeat(90)), "memor"),
        ("a tome", [text("(component)"), vec![0; 9 << 20]].concat(), "larger than 8388608"),
    ]
}

/// A component of one module with that many functions, all empty.
fn functions(count: usize) -> Vec<u8> {
    wat::parse_str(format!("(component (core module {}))", "(func)".repeat(count))).expect("well-formed")
}

/// A component that loads: a plugin with transforms, in name. What its module does at its start, it does when it is first
/// asked what it is.
fn starting(module: &str) -> Vec<u8> {
    let component = format!(
        r#"(component
            (core module $m {module})
            (core instance (instantiate $m))
            (core module $n
                (func (export "nothing"))
                (func (export "start") (result i32) i32.const 0)
                (func (export "apply") (param i32)))
            (core instance $i (instantiate $n))
            (func $nothing (canon lift (core func $i "nothing")))
            (instance $plugin (export "describe" (func $nothing)) (export "validate" (func $nothing)))
            (export "hawser:connect/plugin@0.1.0" (instance $plugin))
            (component $t
                (core module $n
                    (func (export "start") (result i32) i32.const 0)
                    (func (export "apply") (param i32)))
                (core instance $i (instantiate $n))
                (type $resource (resource (rep i32)))
                (export $chain "chain" (type $resource))
                (func $start (result (own $chain)) (canon lift (core func $i "start")))
                (func $apply (param "self" (borrow $chain)) (canon lift (core func $i "apply")))
                (export "[static]chain.start" (func $start))
                (export "[method]chain.apply" (func $apply)))
            (instance $transform (instantiate $t))
            (export "hawser:connect/transform@0.1.0" (instance $transform)))"#
    );
    wat::parse_str(component).expect("the test's component is well-formed")
}

/// Grows until it is refused, and crashes.
fn growing(what: &str, grow: &str) -> String {
    format!("{what} (func $s (loop (br_if 0 (i32.ne {grow} (i32.const -1)))) unreachable) (start $s)")
}
