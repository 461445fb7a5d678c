//! The body of the old store endpoint: JSON, or base64 of zlib of JSON, or a form that holds one of them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use thiserror::Error;

use crate::Limits;
use crate::auth::percent_decode;
use crate::encoding::{Chunks, Encoding, decode};

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadBody {
    #[error("body is empty")]
    Empty,
    #[error("event is larger than {0} bytes")]
    TooLarge(u64),
    #[error("body is neither JSON nor base64 of it")]
    Base64,
    #[error("body is base64, but not of JSON or of zlib of JSON")]
    Zlib,
}

/// How many bytes a body may have before it is unwrapped: base64 and percent escapes take room.
pub fn body_bytes_max(limits: &Limits) -> u64 {
    limits.event_bytes_max * 2
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The JSON of an event, whatever it is wrapped in.
pub fn payload(body: Vec<u8>, limits: &Limits) -> Result<Bytes, BadBody> {
    let max = limits.event_bytes_max;
    let bounded = |json: Bytes| if json.len() as u64 > max { Err(BadBody::TooLarge(max)) } else { Ok(json) };
    let body = match body.strip_prefix(b"sentry_data=") {
        Some(form) => {
            percent_decode(&String::from_utf8_lossy(form.split(|b| *b == b'&').next().unwrap_or_default()))
                .into_owned()
                .into_bytes()
        }
        None => body,
    };
    match body.iter().find(|b| !b.is_ascii_whitespace()) {
        None => return Err(BadBody::Empty),
        Some(b'{') => return bounded(body.into()),
        Some(_) => {}
    }
    // A `+` of base64 becomes a space in a form that was not escaped.
    let text: Vec<u8> = body
        .iter()
        .map(|b| if *b == b' ' { b'+' } else { *b })
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    let bytes = BASE64.decode(text).map_err(|_| BadBody::Base64)?;
    if bytes.first() == Some(&b'{') {
        return bounded(bytes.into());
    }
    let mut json = Vec::new();
    let inflated = decode(Chunks::from_iter([Bytes::from(bytes)]), Encoding::Deflate, limits, |piece| {
        json.extend_from_slice(piece);
        if json.len() as u64 > max { Err(()) } else { Ok(()) }
    });
    match inflated {
        Ok(()) => Ok(json.into()),
        Err(crate::encoding::DecodeError::Taker(())) => Err(BadBody::TooLarge(max)),
        Err(_) => Err(BadBody::Zlib),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

    use super::*;

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn wrappings() {
        let json = br#"{"message":"a+b >?~"}"#;
        let zipped = STANDARD.encode(zlib(json));
        let bomb = STANDARD.encode(zlib(&[b' '; 5_000]));
        let percent: String = json.iter().map(|b| format!("%{b:02x}")).collect();
        let cases: [(String, Result<&[u8], BadBody>); 11] = [
            (String::from_utf8_lossy(json).into(), Ok(json)),
            (zipped.clone(), Ok(json)),
            (format!("{}\n{}\n", &zipped[..9], &zipped[9..]), Ok(json)),
            (STANDARD_NO_PAD.encode(json), Ok(json)),
            (format!("sentry_data={percent}&x=1"), Ok(json)),
            (format!("sentry_data={}", zipped.replace('+', "%2B").replace('/', "%2F")), Ok(json)),
            (" \n".into(), Err(BadBody::Empty)),
            ("!nonsense".into(), Err(BadBody::Base64)),
            (STANDARD.encode("nonsense"), Err(BadBody::Zlib)),
            (bomb, Err(BadBody::TooLarge(1000))),
            (format!("{{{}}}", " ".repeat(999)), Err(BadBody::TooLarge(1000))),
        ];
        let limits = Limits { event_bytes_max: 1000, ..Limits::default() };
        for (body, want) in cases {
            let got = payload(body.clone().into_bytes(), &limits);
            assert_eq!(got.as_deref().map_err(Clone::clone), want, "{body}");
        }
    }
}
