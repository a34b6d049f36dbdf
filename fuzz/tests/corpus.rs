//! Replays the corpus: every seed, and everything that fuzzing ever found, through its target, with a few changes to each.

#![allow(clippy::expect_used)]

use std::path::Path;

use hawser_fuzz::{TARGETS, Target};

/// Changed copies of each input: what fuzzing finds first, without a fuzzer.
const CHANGES: u32 = 20;

#[test]
fn every_input_is_handled() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut inputs: Vec<_> = std::fs::read_dir(&folder).expect(name).map(|entry| entry.expect("an entry").path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{name} has no seeds");
        for path in inputs {
            let input = std::fs::read(&path).expect("an input");
            eprintln!("{}", path.display()); // shown when it fails
            target(&input);
            replay_changed(target, &input);
        }
    }
}

/// Numbers that only look random (xorshift), so that a failure comes again.
fn replay_changed(target: Target, input: &[u8]) {
    let mut state = 0x9e37_79b9_u32 ^ input.len() as u32;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % below.max(1)
    };
    for _ in 0..CHANGES {
        let mut changed = input.to_vec();
        match next(3) {
            0 => changed.truncate(next(input.len())),
            1 => changed.insert(next(input.len() + 1), next(256) as u8),
            _ => {
                let at = next(input.len());
                if let Some(byte) = changed.get_mut(at) {
                    *byte = next(256) as u8;
                }
            }
        }
        target(&changed);
    }
}
