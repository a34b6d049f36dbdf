//! What a configuration key is, and how its value is read: rules and wording of Kafka's `ConfigDef`.

/// What a value must look like. On the wire every value is text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    String,
    /// Text that is never shown.
    Password,
    /// Name of a class.
    Class,
    /// Texts with commas between them; white space around the commas does not count.
    List,
    /// `true` or `false`.
    Boolean,
    /// 16 bit.
    Short,
    /// 32 bit.
    Int,
    /// 64 bit.
    Long,
}

impl Kind {
    /// As Kafka's documentation names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::String => "STRING",
            Kind::Password => "PASSWORD",
            Kind::Class => "CLASS",
            Kind::List => "LIST",
            Kind::Boolean => "BOOLEAN",
            Kind::Short => "SHORT",
            Kind::Int => "INT",
            Kind::Long => "LONG",
        }
    }
}

/// What a key is when it is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// It must be set.
    Required,
    /// It has no value.
    Null,
    /// It has this value.
    Text(&'static str),
}

/// What is asked of a value beyond its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Nothing.
    Any,
    /// At least this number.
    AtLeast(i64),
    /// From the first to the second number.
    Between(i64, i64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words, in capitals or not.
    OneOfAnyCase(&'static [&'static str]),
    /// Each item is one of these words.
    EachOf(&'static [&'static str]),
    /// A number of partitions: positive, or -1 for the brokers' default.
    Partitions,
    /// A number of replicas: positive, or -1 for the brokers' default.
    Replication,
    /// URLs to listen on.
    Listeners,
}

/// When a key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Always.
    Common,
    /// With `group.id`.
    Distributed,
    /// With `offset.storage.file.filename`.
    Standalone,
    /// Always: the REST API.
    Rest,
    /// Always: what Kafka Connect does not have.
    Hawser,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// What it is when it is not set.
    pub default: Default,
    /// What else is asked of its value.
    pub check: Check,
    /// When it counts.
    pub section: Section,
    /// What it is for; Markdown.
    pub doc: &'static str,
}

/// A value that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Text(String),
    List(Vec<String>),
    Boolean(bool),
    Number(i64),
}

impl Key {
    /// Reads the value of this key. The error is a whole sentence.
    pub(super) fn read(&self, given: Option<&str>) -> Result<Value, String> {
        let text = match (given, self.default) {
            (Some(text), _) => text,
            (None, Default::Text(text)) => text,
            (None, Default::Null) => return Ok(Value::Null),
            (None, Default::Required) => {
                return Err(format!("Missing required configuration \"{}\" which has no default value.", self.name));
            }
        };
        let text = text.trim();
        let value = match self.kind {
            Kind::String | Kind::Password | Kind::Class => Value::Text(text.to_owned()),
            Kind::List if text.is_empty() => Value::List(Vec::new()),
            Kind::List => Value::List(text.split(',').map(|item| item.trim().to_owned()).collect()),
            Kind::Boolean if text.eq_ignore_ascii_case("true") => Value::Boolean(true),
            Kind::Boolean if text.eq_ignore_ascii_case("false") => Value::Boolean(false),
            Kind::Boolean => return Err(self.invalid(text, "Expected value to be either true or false")),
            Kind::Short => self.number(text, i16::MIN.into(), i16::MAX.into())?,
            Kind::Int => self.number(text, i32::MIN.into(), i32::MAX.into())?,
            Kind::Long => self.number(text, i64::MIN, i64::MAX)?,
        };
        match self.violation(&value) {
            Some(message) => Err(self.invalid(text, &message)),
            None => Ok(value),
        }
    }

    fn number(&self, text: &str, min: i64, max: i64) -> Result<Value, String> {
        let number = text.parse().ok().filter(|number| (min..=max).contains(number));
        number.map(Value::Number).ok_or_else(|| self.invalid(text, &format!("Not a number of type {}", self.kind.as_str())))
    }

    fn violation(&self, value: &Value) -> Option<String> {
        let one_of = |words: &[&str]| format!("String must be one of: {}", words.join(", "));
        match (self.check, value) {
            (Check::AtLeast(min) | Check::Between(min, _), Value::Number(number)) if *number < min => {
                Some(format!("Value must be at least {min}"))
            }
            (Check::Between(_, max), Value::Number(number)) if *number > max => Some(format!("Value must be no more than {max}")),
            (Check::OneOf(words), Value::Text(text)) if !words.contains(&text.as_str()) => Some(one_of(words)),
            (Check::OneOfAnyCase(words), Value::Text(text)) if !words.iter().any(|word| word.eq_ignore_ascii_case(text)) => {
                Some(one_of(words).replacen("one of", "one of (case insensitive)", 1))
            }
            (Check::EachOf(words), Value::List(items)) if items.iter().any(|item| !words.contains(&item.as_str())) => {
                Some(one_of(words))
            }
            (Check::Partitions, Value::Number(number)) if *number < 1 && *number != -1 => {
                Some("Number of partitions must be positive, or -1 to use the broker's default".to_owned())
            }
            (Check::Replication, Value::Number(number)) if *number < 1 && *number != -1 => Some(
                "Replication factor must be positive and not larger than the number of brokers in the Kafka cluster, or -1 to \
                 use the broker's default"
                    .to_owned(),
            ),
            (Check::Listeners, Value::List(items)) => super::listener::parse_all(items).err(),
            _ => None,
        }
    }

    fn invalid(&self, text: &str, message: &str) -> String {
        let shown = if self.kind == Kind::Password { "[hidden]" } else { text };
        format!("Invalid value {shown} for configuration {}: {message}", self.name)
    }
}
