//! Sets of IP addresses and networks.

use std::net::{IpAddr, Ipv6Addr};

use serde::de::{Deserialize, Deserializer, Error as _};

/// Addresses and networks, of both versions, as ranges that do not overlap, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Networks(Vec<(u128, u128)>);

impl Networks {
    pub(crate) fn contains(&self, address: &str) -> bool {
        parse_address(address).is_some_and(|ip| {
            let at = number(ip);
            let behind = self.0.partition_point(|(start, _)| *start <= at);
            behind > 0 && at <= self.0[behind - 1].1
        })
    }

    fn of(mut ranges: Vec<(u128, u128)>) -> Networks {
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (start, end) in ranges {
            match merged.last_mut() {
                Some((_, last)) if start <= *last => *last = end.max(*last),
                _ => merged.push((start, end)),
            }
        }
        Networks(merged)
    }
}

/// An address as it comes in headers: maybe in brackets, maybe with the zone of its interface.
pub(crate) fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
    bare.split('%').next().unwrap_or(bare).parse().ok()
}

/// IPv4 addresses are numbered as IPv6 has them, so that `::ffff:10.0.0.1` is `10.0.0.1`.
fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn range(text: &str) -> Result<(u128, u128), String> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let bad = || format!("{text:?} is no address and no network such as 10.0.0.0/8 or 2001:db8::/32");
    let ip: IpAddr = address.trim().parse().map_err(|_| bad())?;
    let width = if ip.is_ipv4() { 32 } else { 128 };
    let bits: u32 = bits.map_or(Ok(width), |bits| bits.trim().parse().map_err(|_| bad()))?;
    if bits > width {
        return Err(format!("{text:?}: an address has {width} bits, not {bits}"));
    }
    let hosts = u128::MAX.checked_shr(128 - (width - bits)).unwrap_or(0);
    let start = number(ip) & !hosts;
    debug_assert!(width == 128 || Ipv6Addr::from_bits(start).to_ipv4_mapped().is_some());
    Ok((start, start | hosts))
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Networks, D::Error> {
        struct Range((u128, u128));
        impl<'de> Deserialize<'de> for Range {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Range, D::Error> {
                range(&String::deserialize(from)?).map(Range).map_err(D::Error::custom)
            }
        }
        let ranges = Vec::<Range>::deserialize(from)?;
        Ok(Networks::of(ranges.into_iter().map(|range| range.0).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_networks() {
        let networks = |texts: &[&str]| Networks::of(texts.iter().map(|t| range(t).unwrap()).collect());
        for (of, yes, no) in [
            (
                &["10.0.0.0/8"][..],
                &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"][..],
                &["11.0.0.0", "9.255.255.255", "", "x"][..],
            ),
            (&["192.168.1.7"], &["192.168.1.7", " 192.168.1.7 "], &["192.168.1.8", "192.168.1.6"]),
            (&["192.168.1.7/24"], &["192.168.1.0", "192.168.1.255"], &["192.168.2.0"]),
            (&["0.0.0.0/0"], &["1.2.3.4", "255.255.255.255"], &["::1", "2001:db8::1"]),
            (&["::/0"], &["::1", "1.2.3.4"], &["x"]),
            (
                &["2001:db8::/32"],
                &["2001:db8::1", "[2001:db8:ffff::1]", "2001:db8::1%eth0"],
                &["2001:db9::", "1.2.3.4"],
            ),
            (
                &["10.0.0.0/30", "10.0.0.2", "10.0.0.2/31", "10.0.0.9"],
                &["10.0.0.3", "10.0.0.9"],
                &["10.0.0.4", "10.0.0.8"],
            ),
            (&["::1", "127.0.0.1/32"], &["::1", "127.0.0.1"], &["::2", "127.0.0.2"]),
            (&[], &[], &["1.2.3.4"]),
        ] {
            let networks = networks(of);
            assert!(yes.iter().all(|a| networks.contains(a)), "{of:?} {yes:?}");
            assert!(!no.iter().any(|a| networks.contains(a)), "{of:?} {no:?}");
        }
        for bad in ["10.0.0.0/33", "x", "10.0.0", "::/129", "10.0.0.0/-1", "1.2.3.4/8/8"] {
            assert!(range(bad).unwrap_err().contains(bad), "{bad}");
        }
    }
}
