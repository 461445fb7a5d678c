//! Where a request comes from: the socket's address, or what a proxy that is trusted says.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// A range of addresses, `10.0.0.0/8` or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: u128,
    prefix: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no IP address or network such as 10.0.0.0/8")]
pub struct BadNetwork(String);

/// IPv4 addresses are compared in their IPv6 form, so that a dual-stack socket's `::ffff:10.0.0.1` is the same address.
fn wide(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Network, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.trim().parse().map_err(|_| bad())?;
        let (bits, mapped) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let prefix: u8 = prefix.map_or(Ok(bits), |p| p.trim().parse()).map_err(|_| bad())?;
        if prefix > bits {
            return Err(bad());
        }
        Ok(Network { address: wide(address), prefix: prefix + mapped })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from(self.address);
        match (address.to_ipv4_mapped(), self.prefix.checked_sub(96)) {
            (Some(v4), Some(prefix)) => write!(f, "{v4}/{prefix}"),
            _ => write!(f, "{address}/{}", self.prefix),
        }
    }
}

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        let differing = (wide(address) ^ self.address).leading_zeros();
        differing >= u32::from(self.prefix)
    }
}

/// The client's address. The headers are read from the right: each trusted proxy vouches for the one to its left, and
/// the first that is not trusted is the client, whatever it claims about others.
pub fn client_ip<'a>(
    peer: Option<IpAddr>,
    trusted: &[Network],
    forwarded_for: impl Iterator<Item = &'a [u8]>,
    forwarded: impl Iterator<Item = &'a [u8]>,
) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(peer) {
        return Some(peer);
    }
    let mut hops = hops(forwarded_for, Some);
    if hops.is_empty() {
        hops = self::hops(forwarded, forwarded_for_parameter);
    }
    let mut client = peer;
    for hop in hops.iter().rev() {
        let Some(address) = parse_hop(hop) else { break };
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    Some(client)
}

fn hops<'a>(
    headers: impl Iterator<Item = &'a [u8]>,
    hop: impl Fn(&'a str) -> Option<&'a str>,
) -> Vec<&'a str> {
    let texts = headers.filter_map(|header| std::str::from_utf8(header).ok());
    texts.flat_map(|text| text.split(',')).map(|part| hop(part.trim()).unwrap_or_default()).collect()
}

/// The `for=` of one element of `Forwarded`.
fn forwarded_for_parameter(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// `1.2.3.4`, `1.2.3.4:567`, `::1`, `[::1]`, `[::1]:567`.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    if let Ok(address) = hop.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let host = match hop.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => hop.rsplit_once(':')?.0,
    };
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (network, address, want) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("::1", "::1", true),
            ("fe80::/10", "fe90::1", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), want, "{network} {address}");
        }
        for bad in ["", "10.0.0.0/33", "x", "10.0.0/8", "::1/129", "1.2.3.4/-1"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        assert_eq!("10.0.0.0/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    }

    #[test]
    fn clients_behind_proxies() {
        let trusted: Vec<Network> = vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a str);
        let cases: &[Case<'_>] = &[
            ("1.1.1.1", &["9.9.9.9"], &[], "1.1.1.1"),
            ("10.0.0.1", &[], &[], "10.0.0.1"),
            ("10.0.0.1", &["9.9.9.9"], &[], "9.9.9.9"),
            ("::ffff:10.0.0.1", &["9.9.9.9"], &[], "9.9.9.9"),
            ("10.0.0.1", &["6.6.6.6, 9.9.9.9"], &[], "9.9.9.9"),
            ("10.0.0.1", &["9.9.9.9, 10.0.0.2"], &[], "9.9.9.9"),
            ("10.0.0.1", &["9.9.9.9", "10.0.0.2:80"], &[], "9.9.9.9"),
            ("10.0.0.1", &["9.9.9.9, unknown"], &[], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.3"], &[], "10.0.0.3"),
            ("::1", &[], &["for=192.0.2.60;proto=http;by=203.0.113.43"], "192.0.2.60"),
            ("::1", &[], &["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
            ("::1", &[], &["proto=http"], "::1"),
        ];
        for (peer, x_forwarded_for, forwarded, want) in cases {
            let got = client_ip(
                peer.parse().ok(),
                &trusted,
                x_forwarded_for.iter().map(|h| h.as_bytes()),
                forwarded.iter().map(|h| h.as_bytes()),
            );
            assert_eq!(got, want.parse().ok(), "{peer} {x_forwarded_for:?} {forwarded:?}");
        }
    }
}
