//! The offsets file of Kafka Connect's standalone worker: a serialised `java.util.HashMap<byte[], byte[]>`, of the keys and
//! values that the offsets topic would hold.

/// How a file of serialised Java objects begins: magic and version.
pub(super) const MAGIC: [u8; 4] = [0xac, 0xed, 0, 5];

/// Marks of the serialisation protocol (JDK: `java.io.ObjectStreamConstants`).
const NULL: u8 = 0x70;
const REFERENCE: u8 = 0x71;
const CLASS: u8 = 0x72;
const OBJECT: u8 = 0x73;
const ARRAY: u8 = 0x75;
const BLOCK: u8 = 0x77;
const END: u8 = 0x78;
/// Objects are numbered from here: the map's class, the map, the class of byte arrays, then each array.
const FIRST_HANDLE: usize = 0x7e_0000;
const FIRST_ARRAY: usize = FIRST_HANDLE + 3;

type Entries = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// The entries of the map; null keys are left out.
pub(super) fn read_offsets(bytes: &[u8]) -> Result<Entries, String> {
    let rest = bytes.strip_prefix(&MAGIC).ok_or("it does not begin as serialised Java objects do")?;
    let mut reader = Reader { rest, arrays: Vec::new() };
    reader.expect(OBJECT)?;
    let class = reader.class()?;
    if class != "java.util.HashMap" {
        return Err(format!("Expected HashMap but found class {class}"));
    }
    // Load factor and threshold, then a block with the number of buckets and of entries.
    reader.take(8)?;
    reader.expect(BLOCK)?;
    reader.take(5)?;
    let count = reader.number()?;
    let mut entries = Entries::new();
    for _ in 0..count {
        let (key, value) = (reader.bytes()?, reader.bytes()?);
        entries.extend(key.map(|key| (key, value)));
    }
    reader.expect(END)?;
    Ok(entries)
}

struct Reader<'a> {
    rest: &'a [u8],
    /// The arrays so far, which may be referred to.
    arrays: Vec<Vec<u8>>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("it ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.take(1).map(|bytes| bytes.first().copied().unwrap_or_default())
    }

    fn expect(&mut self, mark: u8) -> Result<(), String> {
        match self.byte()? {
            found if found == mark => Ok(()),
            found => Err(format!("it holds {found:#x} where {mark:#x} was expected")),
        }
    }

    /// A length: 32 bits.
    fn number(&mut self) -> Result<usize, String> {
        let bytes = self.take(4)?.iter();
        Ok(bytes.fold(0, |number, &byte| number << 8 | usize::from(byte)))
    }

    /// A text: its length in 16 bits, then UTF-8.
    fn text(&mut self) -> Result<String, String> {
        let length = self.take(2)?.iter().fold(0, |number, &byte| number << 8 | usize::from(byte));
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// The description of a class with primitive fields only and no superclass; answers its name.
    fn class(&mut self) -> Result<String, String> {
        self.expect(CLASS)?;
        let name = self.text()?;
        // Version and flags.
        self.take(9)?;
        let fields = self.take(2)?.iter().fold(0, |number, &byte| number << 8 | u16::from(byte));
        for _ in 0..fields {
            if matches!(self.byte()?, b'L' | b'[') {
                return Err(format!("Expected HashMap but found class {name}"));
            }
            self.text()?;
        }
        self.expect(END)?;
        self.expect(NULL)?;
        Ok(name)
    }

    /// A byte array or null.
    fn bytes(&mut self) -> Result<Option<Vec<u8>>, String> {
        match self.byte()? {
            NULL => Ok(None),
            REFERENCE => {
                let index = self.number()?.checked_sub(FIRST_ARRAY);
                let array = index.and_then(|index| self.arrays.get(index));
                array.cloned().map(Some).ok_or_else(|| "it refers to something else than a byte array".to_owned())
            }
            ARRAY => {
                if self.rest.first() == Some(&REFERENCE) {
                    self.take(5)?;
                } else if self.class()? != "[B" {
                    return Err("it holds something else than byte arrays".to_owned());
                }
                let length = self.number()?;
                let array = self.take(length)?.to_vec();
                self.arrays.push(array.clone());
                Ok(Some(array))
            }
            found => Err(format!("it holds {found:#x} where a byte array was expected")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As JDK 17 writes a map with an entry, an entry that refers to the first key again, and one with null.
    fn sample() -> Vec<u8> {
        let mut bytes =
            b"\xac\xed\0\x05sr\0\x11java.util.HashMap\x05\x07\xda\xc1\xc3\x16`\xd1\x03\0\x02F\0\nloadFactorI\0\tthresholdxp"
                .to_vec();
        bytes.extend(b"?@\0\0\0\0\0\x0cw\x08\0\0\0\x10\0\0\0\x03");
        bytes.extend(b"ur\0\x02[B\xac\xf3\x17\xf8\x06\x08T\xe0\x02\0\0xp\0\0\0\x02k1uq\0~\0\x02\0\0\0\x02v1");
        bytes.extend(b"uq\0~\0\x02\0\0\0\x02k2q\0~\0\x03");
        bytes.extend(b"uq\0~\0\x02\0\0\0\x02k3px");
        bytes
    }

    #[test]
    fn maps_of_byte_arrays_are_read() {
        let entry = |key: &str, value: Option<&str>| (key.as_bytes().to_vec(), value.map(|value| value.as_bytes().to_vec()));
        assert_eq!(read_offsets(&sample()).unwrap(), [entry("k1", Some("v1")), entry("k2", Some("k1")), entry("k3", None)]);
    }

    #[test]
    fn anything_else_is_refused() {
        let check = |bytes: &[u8], expect: &str| {
            let error = read_offsets(bytes).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check(b"", "does not begin");
        let sample = sample();
        for length in MAGIC.len()..sample.len() {
            check(&sample[..length], "");
        }
        let name = b"java.util.HashMap";
        let at = sample.windows(name.len()).position(|window| window == name).unwrap();
        let mut other = sample.clone();
        other[at..at + name.len()].copy_from_slice(b"java.util.TreeMap");
        check(&other, "Expected HashMap but found class java.util.TreeMap");
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(mut tail: Vec<u8>, cut in 0..200usize, change in 0..200usize, byte: u8) {
            let mut bytes = sample();
            if let Some(at) = bytes.get_mut(change) {
                *at = byte;
            }
            bytes.truncate(cut);
            bytes.append(&mut tail);
            let _ = read_offsets(&bytes);
        }
    }
}
