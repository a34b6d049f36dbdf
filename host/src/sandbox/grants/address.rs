//! What kind of network an address belongs to. A name may be granted by people who do not know where it leads, so that
//! only public addresses follow from a name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kind of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    /// Routed on the internet.
    Public,
    /// Of a private network: RFC 1918, RFC 6598 (carrier-grade NAT), RFC 4193 (unique local).
    Private,
    /// 127.0.0.0/8 and ::1.
    Loopback,
    /// Anything else, which is never meant by a name: link-local (the metadata services of clouds), multicast, unspecified,
    /// broadcast, documentation, benchmarks, and the tunnels 6to4 and Teredo, behind which an inner address would hide.
    Special,
}

impl AddressKind {
    /// The kind of an address. An IPv4 address that is mapped into IPv6, or behind the well-known prefix of NAT64, is judged
    /// as the IPv4 address that it stands for.
    pub fn of(address: IpAddr) -> AddressKind {
        match address.to_canonical() {
            IpAddr::V4(address) => v4(address),
            IpAddr::V6(address) => v6(address),
        }
    }

    /// As it is called in messages.
    pub fn name(self) -> &'static str {
        match self {
            AddressKind::Public => "public",
            AddressKind::Private => "private",
            AddressKind::Loopback => "loopback",
            AddressKind::Special => "special-purpose",
        }
    }
}

/// The registry of special-purpose IPv4 addresses (RFC 6890 and IANA), and class E.
fn v4(address: Ipv4Addr) -> AddressKind {
    match address.octets() {
        [127, ..] => AddressKind::Loopback,
        [10, ..] | [192, 168, ..] => AddressKind::Private,
        [172, second, ..] if (16..32).contains(&second) => AddressKind::Private,
        [100, second, ..] if (64..128).contains(&second) => AddressKind::Private,
        [0, ..] | [169, 254, ..] | [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => AddressKind::Special,
        [198, 51, 100, _] | [203, 0, 113, _] | [224..=255, ..] => AddressKind::Special,
        _ => AddressKind::Public,
    }
}

/// Global unicast (2000::/3) without what IANA took out of it, and NAT64; unique local addresses; everything else is special.
fn v6(address: Ipv6Addr) -> AddressKind {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressKind::Loopback,
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            v4(Ipv4Addr::new(a, b, c, d))
        }
        [first, ..] if first & 0xfe00 == 0xfc00 => AddressKind::Private,
        // Protocol assignments, Teredo and ORCHID among them; documentation; 6to4.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => AddressKind::Special,
        [0x2002, ..] => AddressKind::Special,
        [0x3fff, second, ..] if second < 0x1000 => AddressKind::Special,
        [first, ..] if first & 0xe000 == 0x2000 => AddressKind::Public,
        _ => AddressKind::Special,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_address_is_known() {
        fn check(kind: AddressKind, addresses: &[&str]) {
            for address in addresses {
                assert_eq!(AddressKind::of(address.parse().unwrap()), kind, "{address}");
            }
        }
        check(
            AddressKind::Public,
            &["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "192.167.0.1", "223.255.255.255"],
        );
        check(AddressKind::Public, &["2606:4700::1111", "2a00::1", "2001:4860:4860::8888", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"]);
        check(AddressKind::Private, &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.0.1"]);
        check(AddressKind::Private, &["fc00::1", "fd12:3456::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"]);
        check(AddressKind::Loopback, &["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]);
        check(AddressKind::Special, &["169.254.169.254", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.1.1.1", "240.0.0.1"]);
        check(AddressKind::Special, &["255.255.255.255", "192.0.0.8", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.19.0.1"]);
        check(AddressKind::Special, &["192.88.99.1", "::", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1", "3fff::1"]);
        check(
            AddressKind::Special,
            &["2002:7f00:1::", "2001:0:1::1", "2001:10::1", "64:ff9b:1::10.0.0.1", "::10.0.0.1", "100::1"],
        );
        check(AddressKind::Special, &["::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "::ffff:0:10.0.0.1"]);
    }
}
