//! The host that a message names.

/// `host='…'`, as Python's libraries write it, else that of the first URL.
pub fn named_in(message: &str) -> Option<&str> {
    let quoted =
        message.split_once("host='").and_then(|(_, rest)| rest.split_once('\'')).map(|(host, _)| host);
    quoted.or_else(|| of_url(message)).filter(|host| !host.is_empty())
}

fn of_url(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("://")?;
    let authority = rest.split(|c: char| c.is_whitespace() || "/?#\"'<>)".contains(c)).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // An IPv6 address has colons of its own, in brackets.
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => Some(address),
        None => host.split(':').next(),
    }
}

#[cfg(test)]
mod tests {
    use super::named_in;

    #[test]
    fn of_what_libraries_write() {
        for (message, want) in [
            ("HTTPSConnectionPool(host='a.example', port=443): Read timed out.", Some("a.example")),
            ("Get \"https://u:p@b.example:8443/x?y\": context deadline exceeded", Some("b.example")),
            ("timeout of 1000ms exceeded: http://[::1]:80/", Some("::1")),
            ("see https://c.example", Some("c.example")),
            ("https:///nothing", None),
            ("host='' https", None),
            ("timed out", None),
        ] {
            assert_eq!(named_in(message), want, "{message}");
        }
    }
}
