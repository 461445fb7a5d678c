use super::*;

fn found(text: &str) -> Vec<(Kind, &str)> {
    let mut all = Vec::new();
    Scanner::new(Kind::ALL).scan(text.as_bytes(), |m| all.push((m.kind, &text[m.start..m.end])));
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
        (r"C:\Users\Jane Doe\x", &[(UserPath, "Jane")]),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END", &[(PemKey, "\nMIIE\n")]),
        ("https://me:secret@host/x?y=z", &[(UrlAuth, "me:secret")]),
        ("ssn 078-05-1120!", &[(UsSsn, "078-05-1120")]),
        ("Authorization: bearer eyJhbGciOi.J9-_x", &[(Bearer, "eyJhbGciOi.J9-_x")]),
    ];
    for (text, want) in cases {
        assert_eq!(found(text), *want, "{text}");
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
        "forebearer abcdefghijkl",
        "",
    ] {
        assert_eq!(found(text), [], "{text}");
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
    ] {
        let text = unit.repeat((1 << 20) / unit.len());
        let mut count = 0u64;
        Scanner::new(Kind::ALL).scan(text.as_bytes(), |m| {
            assert!(m.start <= m.end && m.end <= text.len());
            count += 1;
        });
        assert!(count <= text.len() as u64, "{unit}");
    }
}
