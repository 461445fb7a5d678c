use super::*;
use proptest::prelude::*;

fn parameterized(text: &str) -> String {
    let mut out = String::new();
    parameterize(text, &mut out);
    out
}

#[test]
fn replaces_what_varies() {
    let table = [
        // The examples of the notes.
        ("HTTP/1.1-8080", "HTTP/<float><int>"),
        ("see (https://example.com/a?b=1) now", "see (<url> now"),
        // Addresses.
        ("mail from ann.lee+x@mail.example.co.uk now", "mail from <email> now"),
        ("user=bob@example.com failed", "<email> failed"),
        ("a@b. End", "<email>. End"),
        ("at @home", "at @home"),
        ("ws://h1/x wss://h2 ftp://f.example/ xhttp://no.way", "<url> <url> <url> xhttp://no.way"),
        ("http:///no", "http:///no"),
        ("api.eu-west-1.example.com:443 down", "<hostname><hostname>:<int> down"),
        ("shop.co.uk", "<hostname>.uk"),
        ("foo.company Foo.Com x.COM", "foo.company Foo.Com <hostname>"),
        ("module.submodule.attr", "module.submodule.attr"),
        ("to 10.0.0.1:8080 from 256.1.1.1", "to <ip>:<int> from <float>.<float>"),
        ("1.2.3.4.5", "<ip>.<int>"),
        ("[::1]:80 fe80::1%eth0 2001:db8::8a2e:370:7334.", "[<ip>]:<int> <ip> <ip>."),
        ("Foo::bar() std::fmt", "Foo::bar() std::fmt"),
        // Identifiers.
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "<traceparent>"),
        ("1-67891233-abcdef012345678912345678", "<traceparent>"),
        ("id 7c1811ed-e98f-4c9c-a9f9-58c757ff494f", "id <uuid>"),
        ("da39a3ee5e6b4b0d3255bfef95601890afd80709", "<sha1>"),
        ("d41d8cd98f00b204e9800998ecf8427e", "<md5>"),
        ("tx274a77a8975c4a66aeb24-0052d95365-backup done", "<swift_txn_id> done"),
        (
            "0x4000 0X1F 12345678 deadbeef 9eadbeef 9EADBEEF 9eADbeef",
            "<hex> <hex> <hex> deadbeef <hex> <hex> 9eADbeef",
        ),
        ("at 9fc5a2b and abcdefa and 1234567", "at <git_sha> and abcdefa and <int>"),
        // Dates.
        ("2026-11-24T12:34:56.789Z x", "<date> x"),
        ("2026-11-24T12:34:56+01:00 2026-11-24 12:34:56.123 2026-11-24", "<date> <date> <date>"),
        ("20261124T123456+0100 2026-11-24 12:34", "<date> <date>"),
        ("Tue, 24 Nov 2026 12:34:56 GMT", "<date>"),
        ("Tuesday, 24-Nov-26 12:34:56 UTC", "<date>C"),
        ("Nov 24, 2026 and Tue Nov 24, 26", "<date> and <date>"),
        ("Tue Nov 24 12:34:56 2026", "<date>"),
        ("Tue Nov 24 2026 12:34:56 GMT+0100 (Central European Time)", "<date>"),
        ("24 Nov 2026 12:34:00 +0000", "<date>"),
        ("datetime.datetime(2026, 11, 24, 1, 2)", "<date>"),
        ("at 3:04 PM, 15:04:05, 00:01", "at <date>, <date>, <date>"),
        ("12:34:56:78 25:10", "<date>:<int> <int>:<int>"),
        ("Monitor Marching June Decide data", "Monitor Marching June Decide data"),
        // Numbers.
        ("took 150ms or 1.5s or 20s", "took <duration> or <duration> or <duration>"),
        ("x12s", "x<duration>"),
        ("pi 3.14 -2.5 1.5abc", "pi <float> <float> <int>.5abc"),
        ("-1 0 1234567 v2 a1b", "<int> <int> <int> v2 a1b"),
        ("item #12, item_13", "item #<int>, item_13"),
        // Values of keys.
        (
            r#"name='Ann Lee' id="x" ok=true f=False x="" y='"#,
            r#"name=<quoted_str> id=<quoted_str> ok=<bool> f=<bool> x="" y='"#,
        ),
        ("'free' true", "'free' true"),
        // Text that is not ASCII has words, too.
        ("größe5 “42” 名前7 x…9", "größe5 “<int>” 名前7 x…<int>"),
        ("", ""),
    ];
    for (text, want) in table {
        assert_eq!(parameterized(text), want, "{text}");
    }
}

#[test]
fn messages_are_two_lines() {
    let table = [
        ("one line with 3", "one line with <int>"),
        ("first 1\n\n  \nsecond 2\nthird 3", "first <int>\nsecond <int>..."),
        ("only\n", "only..."),
        ("a\r\nb", "a\nb..."),
        ("  ", "..."),
        ("", ""),
        ("naïve é", "naïve é"),
    ];
    for (message, want) in table {
        let mut out = String::new();
        normalize(message, &mut out);
        assert_eq!(out, want, "{message:?}");
    }
}

#[test]
fn long_texts_are_cut() {
    let long = "é ".repeat(TEXT_CHARS_MAX);
    assert_eq!(parameterized(&long).chars().count(), TEXT_CHARS_MAX);
    let mut out = String::new();
    normalize(&long, &mut out);
    assert_eq!(out.chars().count(), TEXT_CHARS_MAX);
}

proptest! {
    /// No text makes it panic, and what it writes has nothing to replace but what it could not know before.
    #[test]
    fn any_text(text in r"[ a-fx0-9.:@=/'+\-éT“]{0,60}") {
        let once = parameterized(&text);
        prop_assert!(once.len() <= text.len() * 14);
    }

    #[test]
    fn any_unicode(text in "\\PC{0,80}") {
        parameterized(&text);
    }
}

/// Texts on which a lexer that scans again and again takes quadratic time, ten times as long each.
#[test]
fn takes_linear_time() {
    let bad = ["1", "a.", "a", "=' ", "1.1", "ab:", "1:", "https://", "a-", "Mon ", "x@"];
    for piece in bad {
        let text = piece.repeat(TEXT_CHARS_MAX / piece.len());
        let begun = std::time::Instant::now();
        (0..20).for_each(|_| {
            std::hint::black_box(parameterized(&text));
        });
        // 8 KiB, twenty times: some milliseconds when it is linear, some hundred when it is not.
        assert!(begun.elapsed().as_millis() < 150, "{piece}: {:?}", begun.elapsed());
    }
}
