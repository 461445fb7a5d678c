//! Content encodings: decompression that hands out small pieces, so that whoever takes them can stop it.
//!
//! A decoder's own memory is bounded by its window: 32 KiB for gzip and deflate, `zstd_window_log_max` for zstd, 16 MiB for
//! brotli (its "large window" extension is refused). What comes out is bounded by whoever takes the pieces.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, HeapAlloc, HuffmanCode};
use bytes::Bytes;
use thiserror::Error;

use crate::Limits;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Why a body can not be decoded; `E` is what the taker of the pieces says.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum DecodeError<E> {
    #[error("body can not be decompressed as {encoding}: {what}")]
    Broken { encoding: &'static str, what: String },
    #[error("body has more than {0} compressed frames")]
    Frames(u32),
    #[error(transparent)]
    Taker(E),
}

impl Encoding {
    /// Reads `Content-Encoding`. Several codings on top of each other are refused: no client sends them.
    pub fn parse(header: &str) -> Option<Encoding> {
        let name = header.trim();
        let named = |names: &[&str]| names.iter().any(|n| name.eq_ignore_ascii_case(n));
        match () {
            _ if named(&["", "identity"]) => Some(Encoding::Identity),
            _ if named(&["gzip", "x-gzip"]) => Some(Encoding::Gzip),
            _ if named(&["deflate"]) => Some(Encoding::Deflate),
            _ if named(&["br"]) => Some(Encoding::Brotli),
            _ if named(&["zstd"]) => Some(Encoding::Zstd),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Encoding::Identity => "identity",
            Encoding::Gzip => "gzip",
            Encoding::Deflate => "deflate",
            Encoding::Brotli => "br",
            Encoding::Zstd => "zstd",
        }
    }
}

/// Bytes of one piece that is handed out.
const PIECE_BYTES: usize = 32 << 10;

/// Decodes a body and gives it to `take` piece by piece, until that fails.
pub fn decode<E>(
    body: Chunks,
    encoding: Encoding,
    limits: &Limits,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), DecodeError<E>> {
    let broken = |e: io::Error| broken(encoding, &e.to_string());
    let frames = limits.compressed_frames_max;
    match encoding {
        Encoding::Identity => pump(body, encoding, &mut take).map(|_| ()),
        Encoding::Gzip => each_frame(body, frames, |body| {
            let decoder = pump(flate2::bufread::GzDecoder::new(body), encoding, &mut take)?;
            Ok(decoder.into_inner())
        }),
        Encoding::Deflate => {
            let body = if body.starts_with_zlib_header() {
                pump(flate2::bufread::ZlibDecoder::new(body), encoding, &mut take)?.into_inner()
            } else {
                pump(flate2::bufread::DeflateDecoder::new(body), encoding, &mut take)?.into_inner()
            };
            nothing_behind(body, encoding)
        }
        Encoding::Brotli => decode_brotli(body, &mut take),
        Encoding::Zstd => each_frame(body, frames, |body| {
            let mut decoder = zstd::Decoder::with_buffer(body).map_err(broken)?.single_frame();
            decoder.window_log_max(limits.zstd_window_log_max).map_err(broken)?;
            Ok(pump(decoder, encoding, &mut take)?.finish())
        }),
    }
}

fn broken<E>(encoding: Encoding, what: &str) -> DecodeError<E> {
    DecodeError::Broken { encoding: encoding.as_str(), what: what.to_owned() }
}

fn each_frame<E>(
    mut body: Chunks,
    frames_max: u32,
    mut frame: impl FnMut(Chunks) -> Result<Chunks, DecodeError<E>>,
) -> Result<(), DecodeError<E>> {
    for _ in 0..frames_max {
        body = frame(body)?;
        if body.is_empty() {
            return Ok(());
        }
    }
    Err(DecodeError::Frames(frames_max))
}

fn pump<R: Read, E>(
    mut reader: R,
    encoding: Encoding,
    take: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<R, DecodeError<E>> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(reader),
            Ok(n) => take(&piece[..n]).map_err(DecodeError::Taker)?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(broken(encoding, &e.to_string())),
        }
    }
}

fn nothing_behind<E>(body: Chunks, encoding: Encoding) -> Result<(), DecodeError<E>> {
    if body.is_empty() { Ok(()) } else { Err(broken(encoding, "bytes behind the end of the stream")) }
}

/// By hand, since the crate's reader has the "large window" on, with which a few bytes ask for a gigabyte.
fn decode_brotli<E>(
    mut body: Chunks,
    take: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), DecodeError<E>> {
    let (bytes, words) = (HeapAlloc::<u8>::new(0), HeapAlloc::<u32>::new(0));
    let mut state = BrotliState::new_strict(bytes, words, HeapAlloc::new(HuffmanCode::default()));
    let mut piece = vec![0; PIECE_BYTES];
    let mut total = 0;
    loop {
        let input = body.front();
        let (mut missing, mut used) = (input.len(), 0);
        let (mut room, mut written) = (piece.len(), 0);
        let result = BrotliDecompressStream(
            &mut missing,
            &mut used,
            input,
            &mut room,
            &mut written,
            &mut piece,
            &mut total,
            &mut state,
        );
        let is_over = input.is_empty();
        body.consume(used);
        take(&piece[..written]).map_err(DecodeError::Taker)?;
        match result {
            BrotliResult::ResultSuccess => return nothing_behind(body, Encoding::Brotli),
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::NeedsMoreInput if !is_over => {}
            BrotliResult::NeedsMoreInput => return Err(broken(Encoding::Brotli, "stream is cut off")),
            BrotliResult::ResultFailure => return Err(broken(Encoding::Brotli, "stream is corrupt")),
        }
    }
}

/// A body in the chunks in which it came.
#[derive(Debug, Clone, Default)]
pub struct Chunks(VecDeque<Bytes>);

impl Chunks {
    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.0.push_back(chunk);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn front(&self) -> &[u8] {
        self.0.front().map_or(&[], |chunk| chunk)
    }

    /// A zlib header is two bytes with a checksum. Some clients send raw deflate under the same name.
    fn starts_with_zlib_header(&self) -> bool {
        let mut bytes = self.0.iter().flat_map(|chunk| chunk.iter());
        let (Some(a), Some(b)) = (bytes.next(), bytes.next()) else { return false };
        a & 0x0f == 8 && (u16::from(*a) << 8 | u16::from(*b)) % 31 == 0
    }
}

impl FromIterator<Bytes> for Chunks {
    fn from_iter<I: IntoIterator<Item = Bytes>>(chunks: I) -> Chunks {
        let mut all = Chunks::default();
        chunks.into_iter().for_each(|chunk| all.push(chunk));
        all
    }
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.front())
    }

    fn consume(&mut self, amount: usize) {
        if let Some(front) = self.0.front_mut() {
            let _ = front.split_to(amount.min(front.len()));
            if front.is_empty() {
                self.0.pop_front();
            }
        }
    }
}

impl Read for Chunks {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.front().len().min(out.len());
        out[..n].copy_from_slice(&self.front()[..n]);
        self.consume(n);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(data: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn br(data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        brotli::CompressorWriter::new(&mut out, 4096, 5, 20).write_all(data).unwrap();
        out
    }

    fn zst(data: &[u8]) -> Vec<u8> {
        zstd::encode_all(data, 1).unwrap()
    }

    fn run(body: &[u8], chunk: usize, encoding: &str) -> Result<Vec<u8>, DecodeError<()>> {
        let chunks = body.chunks(chunk).map(Bytes::copy_from_slice).collect();
        let mut out = Vec::new();
        decode(chunks, Encoding::parse(encoding).unwrap(), &Limits::default(), |piece| {
            out.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(out)
    }

    #[test]
    fn every_encoding_in_every_chunking() {
        let text = b"{\"type\":\"event\"}\n".repeat(5_000);
        let cases: [(&str, Vec<u8>); 8] = [
            ("identity", text.clone()),
            ("gzip", gzip(&text)),
            ("X-GZIP", gzip(&text)),
            ("gzip", [gzip(&text[..100]), gzip(&text[100..])].concat()),
            ("deflate", zlib(&text)),
            ("deflate", raw_deflate(&text)),
            (" br ", br(&text)),
            ("zstd", [zst(&text[..7]), zst(&text[7..])].concat()),
        ];
        for (name, body) in &cases {
            for chunk in [1, 7, 1 << 20] {
                assert!(run(body, chunk, name).unwrap() == text, "{name} in chunks of {chunk}");
            }
            if *name == "identity" {
                continue;
            }
            assert!(
                matches!(run(&body[..body.len() - 1], 99, name), Err(DecodeError::Broken { .. })),
                "cut {name}"
            );
            let garbage = [body.as_slice(), b"garbage"].concat();
            assert!(matches!(run(&garbage, 99, name), Err(DecodeError::Broken { .. })), "{name} and garbage");
        }
        assert_eq!(Encoding::parse("compress"), None);
        assert_eq!(Encoding::parse("gzip, br"), None);
    }

    #[test]
    fn frames_and_windows_are_bounded() {
        let frames_max = Limits::default().compressed_frames_max;
        for (name, frame) in [("gzip", gzip(b"")), ("zstd", zst(b""))] {
            assert_eq!(run(&frame.repeat(frames_max as usize), 999, name), Ok(Vec::new()));
            let more = frame.repeat(frames_max as usize + 1);
            assert_eq!(run(&more, 999, name), Err(DecodeError::Frames(frames_max)));
        }
        let mut wide = zstd::Encoder::new(Vec::new(), 1).unwrap();
        wide.window_log(27).unwrap();
        wide.write_all(b"x").unwrap();
        let wide = wide.finish().unwrap();
        let refused = format!("{:?}", run(&wide, 999, "zstd"));
        assert!(refused.contains("too much memory"), "{refused}");
        let params = brotli::enc::BrotliEncoderParams { large_window: true, lgwin: 28, ..Default::default() };
        let mut large = Vec::new();
        brotli::BrotliCompress(&mut b"some text".as_slice(), &mut large, &params).unwrap();
        assert!(matches!(run(&large, 999, "br"), Err(DecodeError::Broken { .. })));
        let mut ordinary = Vec::new();
        let params = brotli::enc::BrotliEncoderParams { large_window: false, lgwin: 22, ..params };
        brotli::BrotliCompress(&mut b"some text".as_slice(), &mut ordinary, &params).unwrap();
        assert_eq!(run(&ordinary, 999, "br").unwrap(), b"some text");
    }

    #[test]
    fn the_taker_can_stop_a_bomb() {
        let zeros = vec![0; 8 << 20];
        for (name, bomb) in
            [("gzip", gzip(&zeros)), ("deflate", zlib(&zeros)), ("br", br(&zeros)), ("zstd", zst(&zeros))]
        {
            let chunks = Chunks::from_iter([Bytes::from(bomb)]);
            let mut taken = 0;
            let stopped = decode(chunks, Encoding::parse(name).unwrap(), &Limits::default(), |piece| {
                taken += piece.len();
                if taken > 100_000 { Err("enough") } else { Ok(()) }
            });
            assert_eq!(stopped, Err(DecodeError::Taker("enough")), "{name}");
            assert!(taken <= 100_000 + PIECE_BYTES, "{name}: {taken}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for name in ["gzip", "deflate", "br", "zstd"] {
                let _ = run(&bytes, 50, name);
            }
        }
    }
}
