//! A JSON object, parsed no deeper than its members: most transforms touch only those, so the rest is carried along
//! as text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::transform::{RecordError, scan};

/// Members up to which a repeated name is looked for one by one.
const FEW_MEMBERS: usize = 32;

/// A piece of the batch's data, or of what the transforms of a record have written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    pub place: Place,
    pub start: usize,
    pub length: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Data,
    Scratch,
}

impl Text {
    pub fn of<'a>(self, data: &'a [u8], scratch: &'a [u8]) -> &'a [u8] {
        let buffer = match self.place {
            Place::Data => data,
            Place::Scratch => scratch,
        };
        buffer.get(self.start..self.start + self.length).unwrap_or_default()
    }
}

/// A name without its escapes, and a value as JSON text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub name: Text,
    pub value: Text,
}

/// What a piece of JSON text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonKind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number.
    Number,
    /// A text in quotes.
    String,
    /// A list.
    Array,
    /// An object.
    Object,
}

/// A piece of JSON text, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<'a>(&'a [u8]);

impl<'a> Json<'a> {
    /// A text that is one JSON value.
    pub fn new(text: &'a [u8]) -> Self {
        Self(text.trim_ascii())
    }

    /// The text.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// What it is, judged by how it begins.
    pub fn kind(&self) -> JsonKind {
        match self.0.first() {
            Some(b'n') | None => JsonKind::Null,
            Some(b't' | b'f') => JsonKind::Boolean,
            Some(b'"') => JsonKind::String,
            Some(b'[') => JsonKind::Array,
            Some(b'{') => JsonKind::Object,
            Some(_) => JsonKind::Number,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        self.kind() == JsonKind::Null
    }

    /// As a type of yours, which may borrow.
    ///
    /// # Errors
    /// If it is no such value.
    pub fn parse<T: Deserialize<'a>>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(self.0)
    }
}

/// A record's key or value as a JSON object whose members can be changed. They keep their order.
#[derive(Debug)]
pub struct Object<'a> {
    pub(super) members: &'a mut Vec<Member>,
    pub(super) data: &'a [u8],
    pub(super) scratch: &'a mut Vec<u8>,
    pub(super) dirty: &'a mut bool,
}

impl Object<'_> {
    /// Number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Json<'_>)> {
        self.members.iter().map(|member| (self.text(member.name), Json::new(member.value.of(self.data, self.scratch))))
    }

    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<Json<'_>> {
        let member = self.members.get(self.position(name)?)?;
        Some(Json::new(member.value.of(self.data, self.scratch)))
    }

    /// Sets a member to a piece of JSON text: in its place if it is there, else as the last one.
    pub fn set_raw(&mut self, name: &str, json: &str) {
        self.set_with(name, |scratch| scratch.extend_from_slice(json.as_bytes()));
    }

    /// Sets a member to a text.
    pub fn set_text(&mut self, name: &str, text: &str) {
        self.set_with(name, |scratch| write_json_text(scratch, text));
    }

    /// Sets a member to a number.
    pub fn set_number(&mut self, name: &str, number: impl Into<i64>) {
        let number = number.into();
        self.set_with(name, |scratch| {
            use std::io::Write;
            let _ = write!(scratch, "{number}"); // Writing into a Vec cannot fail.
        });
    }

    /// Sets a member to anything that serde can write.
    ///
    /// # Errors
    /// If serde cannot; the member is as it was.
    pub fn set<T: serde::Serialize + ?Sized>(&mut self, name: &str, value: &T) -> serde_json::Result<()> {
        let json = serde_json::to_string(value)?;
        self.set_raw(name, &json);
        Ok(())
    }

    /// Sets a member to what `write` appends, which must be one JSON value.
    pub fn set_with(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.scratch.len();
        write(self.scratch);
        let value = Text { place: Place::Scratch, start, length: self.scratch.len() - start };
        *self.dirty = true;
        match self.position(name) {
            Some(place) => {
                if let Some(member) = self.members.get_mut(place) {
                    member.value = value;
                }
            }
            None => {
                let name = push(self.scratch, name);
                self.members.push(Member { name, value });
            }
        }
    }

    /// Takes a member out. False if it is not there.
    pub fn remove(&mut self, name: &str) -> bool {
        let place = self.position(name);
        if let Some(place) = place {
            self.members.remove(place);
            *self.dirty = true;
        }
        place.is_some()
    }

    /// Takes out the members for whose names `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        let before = self.members.len();
        let (data, scratch) = (self.data, &*self.scratch);
        self.members.retain(|member| keep(text(member.name.of(data, scratch))));
        *self.dirty |= self.members.len() != before;
    }

    /// Gives the members for whose names there is a new one that name. Of two that end up with one name, the later
    /// one stays.
    pub fn rename<'n>(&mut self, mut new_name: impl FnMut(&str) -> Option<&'n str>) {
        let mut renamed = false;
        for place in 0..self.members.len() {
            let Some(member) = self.members.get_mut(place) else { break };
            if let Some(name) = new_name(text(member.name.of(self.data, self.scratch))) {
                member.name = push(self.scratch, name);
                renamed = true;
            }
        }
        if renamed {
            *self.dirty = true;
            self.keep_last_of_each_name();
        }
    }

    /// Gives the members with these old names the new ones, as [`Object::rename`] does.
    pub fn rename_each<'n>(&mut self, pairs: impl Iterator<Item = (&'n str, &'n str)> + Clone) {
        let mut renamed = false;
        for place in 0..self.members.len() {
            let Some(member) = self.members.get_mut(place) else { break };
            let name = member.name.of(self.data, self.scratch);
            let new = pairs.clone().find(|(old, _)| old.len() == name.len() && old.as_bytes() == name);
            if let Some((_, new)) = new {
                member.name = push(self.scratch, new);
                renamed = true;
            }
        }
        if renamed {
            *self.dirty = true;
            self.keep_last_of_each_name();
        }
    }

    fn keep_last_of_each_name(&mut self) {
        let name = |member: &Member| member.name.of(self.data, self.scratch);
        let few = self.members.len() < FEW_MEMBERS;
        // A new name stands in the scratch: all others were told apart when the object was read.
        let is_alone = |(place, member): (usize, &Member)| {
            let after = self.members.get(place + 1..).unwrap_or_default();
            let before = self.members.get(..place).unwrap_or_default();
            let is_there = |others| position(others, self.data, self.scratch, name(member)).is_some();
            member.name.place == Place::Data || !(is_there(before) || is_there(after))
        };
        if few && self.members.iter().enumerate().all(is_alone) {
            return;
        }
        let last: HashMap<&[u8], usize> = self.members.iter().enumerate().map(|(place, member)| (name(member), place)).collect();
        let mut places: Vec<usize> = last.into_values().collect();
        places.sort_unstable();
        *self.members = places.iter().filter_map(|&place| self.members.get(place).copied()).collect();
    }

    fn position(&self, name: &str) -> Option<usize> {
        position(self.members, self.data, self.scratch, name.as_bytes())
    }

    fn text(&self, text: Text) -> &str {
        self::text(text.of(self.data, self.scratch))
    }
}

fn position(members: &[Member], data: &[u8], scratch: &[u8], name: &[u8]) -> Option<usize> {
    members.iter().position(|member| member.name.length == name.len() && member.name.of(data, scratch) == name)
}

/// A name is text: it was cut out of JSON that serde_json has read.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn push(scratch: &mut Vec<u8>, text: &str) -> Text {
    let start = scratch.len();
    scratch.extend_from_slice(text.as_bytes());
    Text { place: Place::Scratch, start, length: text.len() }
}

/// Appends a text as JSON, in quotes.
pub fn write_json_text(out: &mut Vec<u8>, text: &str) {
    write_name(out, text.as_bytes());
}

fn write_name(out: &mut Vec<u8>, name: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    if name.iter().all(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.extend_from_slice(name);
    } else {
        for &byte in name {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..0x20 => {
                    let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                    out.extend_from_slice(b"\\u00");
                    out.extend_from_slice(&digits);
                }
                _ => out.push(byte),
            }
        }
    }
    out.push(b'"');
}

/// Appends the object as JSON text.
pub(super) fn write_object(members: &[Member], data: &[u8], scratch: &[u8], out: &mut Vec<u8>) {
    out.push(b'{');
    for (place, member) in members.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_name(out, member.name.of(data, scratch));
        out.push(b':');
        out.extend_from_slice(member.value.of(data, scratch));
    }
    out.push(b'}');
}

#[cfg(test)]
thread_local! {
    /// Objects read by this thread.
    pub(super) static PARSES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Reads a text as an object. A repeated name counts once, with its last value, so that no member can hide behind
/// another of its name.
pub(super) fn read_object(
    object: Text,
    data: &[u8],
    scratch: &mut Vec<u8>,
    members: &mut Vec<Member>,
) -> Result<(), RecordError> {
    #[cfg(test)]
    PARSES.set(PARSES.get() + 1);
    if read_plain(object, data, scratch, members).is_some() {
        return Ok(());
    }
    members.clear();
    let snapshot;
    let buffer = match object.place {
        Place::Data => data,
        Place::Scratch => {
            snapshot = scratch.clone(); // Names with escapes are appended to the scratch while its text is read.
            snapshot.as_slice()
        }
    };
    let text = object.of(buffer, buffer);
    let reader = Reader { buffer, place: object.place, data, scratch, members };
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    (&mut deserializer).deserialize_map(reader).and_then(|()| deserializer.end()).map_err(RecordError::from)
}

/// Reads an object that is spelled as usual and has few members. `None`, having read whatever, if it is not.
fn read_plain(object: Text, data: &[u8], scratch: &[u8], members: &mut Vec<Member>) -> Option<()> {
    members.clear();
    let text = object.of(data, scratch);
    let part = |range: Range<usize>| Text { place: object.place, start: object.start + range.start, length: range.len() };
    scan::members(text, |name, value| {
        match position(members, data, scratch, text.get(name.clone())?) {
            Some(place) => members.get_mut(place)?.value = part(value),
            None if members.len() >= FEW_MEMBERS => return None,
            None => members.push(Member { name: part(name), value: part(value) }),
        }
        Some(())
    })
}

struct Reader<'a> {
    buffer: &'a [u8],
    place: Place,
    data: &'a [u8],
    scratch: &'a mut Vec<u8>,
    members: &'a mut Vec<Member>,
}

impl Reader<'_> {
    /// Where a text that was borrowed from the buffer stands in it.
    fn borrowed(&self, text: &str) -> Text {
        let start = text.as_ptr().addr() - self.buffer.as_ptr().addr();
        Text { place: self.place, start, length: text.len() }
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut many: HashMap<String, usize> = HashMap::new();
        while let Some(Name(name)) = map.next_key()? {
            let value = self.borrowed(map.next_value::<&RawValue>()?.get());
            let known = if self.members.len() < FEW_MEMBERS {
                position(self.members, self.data, self.scratch, name.as_bytes())
            } else {
                if many.is_empty() {
                    for (place, member) in self.members.iter().enumerate() {
                        many.insert(text(member.name.of(self.data, self.scratch)).to_owned(), place);
                    }
                }
                let next = self.members.len();
                let place = *many.entry(name.to_string()).or_insert(next);
                (place != next).then_some(place)
            };
            if let Some(member) = known.and_then(|place| self.members.get_mut(place)) {
                member.value = value;
                continue;
            }
            let name = match name {
                Cow::Borrowed(name) => self.borrowed(name),
                Cow::Owned(name) => push(self.scratch, &name),
            };
            self.members.push(Member { name, value });
        }
        Ok(())
    }
}

/// A member's name, borrowed unless it has escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}
