use super::*;

fn found(text: &str) -> Vec<(Kind, &str)> {
    let mut all = Vec::new();
    let common = crate::keys::KeyTest::common();
    let is_secret = |key: &[u8]| common.matches_key(key);
    Scanner::new(Kind::ALL).scan(text.as_bytes(), is_secret, |m| all.push((m.kind, &text[m.start..m.end])));
    all
}

#[test]
fn finds() {
    use Kind::*;
    let cases: &[(&str, &[(Kind, &str)])] = &[
        ("mail jane.doe+x@example.co.uk, please", &[(Email, "jane.doe+x@example.co.uk")]),
        ("<a@b.com>,\"c@d.org\"", &[(Email, "a@b.com"), (Email, "c@d.org")]),
        ("é@ä.com müller@x.de", &[(Email, "müller@x.de")]),
        ("from 10.0.0.1:80 to 255.255.255.255.", &[(Ip, "10.0.0.1"), (Ip, "255.255.255.255")]),
        (
            "::1 and 2001:db8::ff00:42:8329 [fe80::1]",
            &[(Ip, "::1"), (Ip, "2001:db8::ff00:42:8329"), (Ip, "fe80::1")],
        ),
        ("card 4111 1111 1111 1111 12/26", &[(CreditCard, "4111 1111 1111 1111")]),
        ("378282246310005", &[(CreditCard, "378282246310005"), (Imei, "378282246310005")]),
        ("4111-1111-1111-1111", &[(CreditCard, "4111-1111-1111-1111")]),
        ("iban DE89 3704 0044 0532 0130 00.", &[(Iban, "DE89 3704 0044 0532 0130 00")]),
        ("GB82WEST12345698765432", &[(Iban, "GB82WEST12345698765432")]),
        ("imei 49-015420-323751-8", &[(Imei, "49-015420-323751-8")]),
        ("mac 4a:00:04:10:9b:50", &[(Mac, "4a:00:04:10:9b:50")]),
        ("mac AB-CD-EF-12-34-56", &[(Mac, "AB-CD-EF-12-34-56")]),
        ("id ceee0822-ed8f-4622-b2a3-789e73e75cd1", &[(Uuid, "ceee0822-ed8f-4622-b2a3-789e73e75cd1")]),
        ("/home/jane/x /Users/bob", &[(UserPath, "jane"), (UserPath, "bob")]),
        (r"C:\Users\Jane Doe\x", &[(UserPath, "Jane Doe")]),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END", &[(PemKey, "MIIE")]),
        ("-----BEGIN RSA PRIVATE KEY-----\r\nMIIE", &[(PemKey, "MIIE")]),
        ("https://me:secret@host/x?y=z", &[(UrlAuth, "me:secret")]),
        ("amqp://me:p@ss@host:1/v", &[(UrlAuth, "me:p@ss")]),
        ("ssn 078-05-1120!", &[(UsSsn, "078-05-1120")]),
        ("with bearer eyJhbGciOi.J9-_x", &[(Bearer, "eyJhbGciOi.J9-_x")]),
        ("id ceee0822ed8f4622b2a3789e73e75cd1", &[(Uuid, "ceee0822ed8f4622b2a3789e73e75cd1")]),
        ("address:2001:db8::1: refused", &[(Ip, "2001:db8::1")]),
    ];
    for (text, want) in cases {
        assert_eq!(found(text), *want, "{text}");
    }
}

#[test]
fn finds_in_any_script() {
    use Kind::*;
    let cases: &[(&str, &[(Kind, &str)])] = &[
        ("カード番号4111111111111111です", &[(CreditCard, "4111111111111111")]),
        ("“4111 1111 1111 1111”", &[(CreditCard, "4111 1111 1111 1111")]),
        ("no.\u{a0}4111111111111111…", &[(CreditCard, "4111111111111111")]),
        ("No.4111111111111111", &[(CreditCard, "4111111111111111")]),
        ("連絡先はtaro@example.jpです", &[(Email, "taro@example.jp")]),
        ("“a@b.com”, «иван@почта.example.com»", &[(Email, "a@b.com")]),
        ("пишите иван@example.com", &[(Email, "иван@example.com")]),
        ("é10.0.0.1é", &[(Ip, "10.0.0.1")]),
        ("/home/名前/x", &[(UserPath, "名前")]),
    ];
    for (text, want) in cases {
        assert_eq!(found(text), *want, "{text}");
    }
}

#[test]
fn finds_values_of_secret_keys() {
    let cases: &[(&str, &[&str])] = &[
        ("password=hunter2&page=2", &["hunter2"]),
        ("/reset?next=1&reset_token=a.b-c%20d#top", &["a.b-c%20d#top"]),
        ("sessionid=k3y; theme=dark; csrftoken=z", &["k3y", "z"]),
        (r#"{"user":"jane","password":"hun\"ter 2","n":[{"apiKey": "k"}]}"#, &[r#"hun\"ter 2"#, "k"]),
        (r#"{\"password\":\"hunter2\",\"a\":1}"#, &["hunter2"]),
        ("{'auth': b'abc', 'token': None}", &["abc"]),
        ("Authorization: Basic amFuZTpwdw==\r\nAccept: */*", &["Basic amFuZTpwdw=="]),
        ("secret => 'x y', password = z", &["x y", "z"]),
        (r#"{"tokens":["a","b"],"c":"d"}"#, &[r#""a","b""#]),
        (r#"{"token":"cut of"#, &["cut of"]),
        ("password=пароль next", &["пароль"]),
        ("pin=1 auth::login auth://x secret==1 token:", &[]),
        ("password=[Filtered]&token=null", &[]),
        (r#"{"credentials":{"a":1}}"#, &[]),
    ];
    for (text, want) in cases {
        let got: Vec<_> = found(text).into_iter().filter(|(kind, _)| *kind == Kind::Pair).collect();
        assert_eq!(got.iter().map(|(_, value)| *value).collect::<Vec<_>>(), *want, "{text}");
    }
}

#[test]
fn passes_by() {
    for text in [
        "pkg@1.2.3",
        "@decorator.name",
        "a@b",
        "x@.com",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "v10.0.0.1x",
        "12:34:56",
        "std::vec<a>",
        "a::b",
        "4111 1111 1111 1112",
        "1732445000123",
        "0000000000000000",
        "DE88370400440532013000",
        "490154203237519",
        "4a:00:04:10:9b",
        "ceee0822-ed8f-4622-b2a3-789e73e75cdz",
        "/homes/x",
        "/home/",
        "-----BEGIN CERTIFICATE-----\nx",
        "https://host:8080/x@y",
        "666-12-1234",
        "078-05-11200",
        "bearer of news",
        "0.4111111111111111",
        "ceee0822ed8f4622b2a3789e73e75cd",
        "forebearer abcdefghijkl",
        "",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn eight_bytes_at_once_are_as_one_by_one() {
    for kinds in [&[Kind::Ip, Kind::Bearer, Kind::PemKey, Kind::Email, Kind::Pair][..], &Kind::ALL] {
        let scanner = Scanner::new(kinds.iter().copied());
        for byte in 0..=u8::MAX {
            for neighbour in [0, b'-', b'@', b'b', 0x7f, 0x80, 0xff] {
                for at in 0..8 {
                    let mut chunk = [neighbour; 8];
                    chunk[at] = byte;
                    let is_set = scanner.candidates(chunk) >> (8 * at + 7) & 1 == 1;
                    assert!(is_set || scanner.first[usize::from(byte)] == 0, "{byte} at {at} of {chunk:?}");
                    let may_be = (RANGE.0..=RANGE.1).contains(&byte) || byte.eq_ignore_ascii_case(&b'b');
                    assert!(!is_set || may_be || !scanner.is_plain, "{byte} at {at} of {chunk:?}");
                }
            }
        }
    }
}

#[test]
fn finds_at_every_place() {
    for front in 0..20 {
        for back in 0..12 {
            let text = format!("{}10.0.0.1{}", " ".repeat(front), " ".repeat(back));
            assert_eq!(found(&text), [(Kind::Ip, "10.0.0.1")], "{front} {back}");
        }
    }
}

#[test]
fn pathological_text_takes_linear_time() {
    for unit in [
        "@",
        "a@",
        "1 ",
        "1",
        "::",
        "-----BEGIN KEY-----",
        "://",
        "/home/",
        "AA11",
        "bearer ",
        "a.",
        "1.1.1.",
        "a",
        "f",
        " ",
        "9",
        "http://",
        "http://a:b@",
        "token=",
        "token={",
        "token=[",
        "token=[Filtered]",
        "token=\"",
        "token: ",
        "\"token\":\"\\",
        "=",
        ": ",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:",
        "/home/ \\home\\ ",
        "é@",
        "4111 ",
        "DE89 ",
        "0123456789abcdef",
    ] {
        let text = unit.repeat((1 << 20) / unit.len());
        let mut count = 0;
        let begun = std::time::Instant::now();
        let is_secret = |key: &[u8]| key.starts_with(b"token");
        Scanner::new(Kind::ALL).scan(text.as_bytes(), is_secret, |m| {
            assert!(text.is_char_boundary(m.start) && text.is_char_boundary(m.end) && m.start <= m.end);
            count += 1;
        });
        assert!(count <= text.len(), "{unit}");
        // Some tens of milliseconds, also on a busy machine; a second look at everything behind would take minutes.
        assert!(begun.elapsed().as_secs() < 3, "{unit}: {:?}", begun.elapsed());
    }
}
