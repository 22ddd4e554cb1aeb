//! An injective binary encoding of a few plain values.
//!
//! Invariant: two different sequences of values never encode to the same
//! bytes, given the same order of calls; every value carries its length. It
//! serves associated data and sealed bodies, and is no file format.

use zeroize::Zeroizing;

/// First capacity of a buffer; large enough that a body with a credential is
/// not copied about while it grows.
const CAPACITY: usize = 16 * 1024;

/// Appends values to a buffer that is wiped when dropped.
pub(super) struct Encoder(Zeroizing<Vec<u8>>);

impl Encoder {
    /// Starts a buffer with a domain, so that bytes made for one purpose are
    /// never accepted for another.
    pub(super) fn new(domain: &str) -> Self {
        let mut encoder = Self(Zeroizing::new(Vec::with_capacity(CAPACITY)));
        encoder.bytes(domain.as_bytes());
        encoder
    }

    /// Appends a length (64 bits, big-endian) and the bytes.
    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.number(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// Appends a text as its UTF-8 bytes.
    pub(super) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// Appends 64 bits, big-endian.
    pub(super) fn number(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Appends a count of 0 or 1 and the bytes, if any.
    pub(super) fn optional(&mut self, value: Option<&[u8]>) {
        self.number(u64::from(value.is_some()));
        if let Some(value) = value {
            self.bytes(value);
        }
    }

    /// Appends a count and every text.
    pub(super) fn list(&mut self, values: &[String]) {
        self.number(values.len() as u64);
        for value in values {
            self.text(value);
        }
    }

    /// Appends zero bytes up to a multiple of `block`, which hides the length
    /// of what was written.
    pub(super) fn pad(&mut self, block: usize) {
        let full = self.0.len().next_multiple_of(block);
        self.0.resize(full, 0);
    }

    /// Gives the buffer out.
    pub(super) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// The bytes are not what an [`Encoder`] would have written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads back what an [`Encoder`] wrote, in the same order.
pub(super) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    /// Starts reading, provided the bytes were made for this domain.
    pub(super) fn new(domain: &str, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut decoder = Self(bytes);
        if decoder.bytes()? == domain.as_bytes() {
            Ok(decoder)
        } else {
            Err(Malformed)
        }
    }

    /// Reads bytes.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        let (value, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(value)
    }

    /// Reads a text.
    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    /// Reads a number.
    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        let (value, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(u64::from_be_bytes(*value))
    }

    /// Reads bytes that may be absent.
    pub(super) fn optional(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.number()? {
            0 => Ok(None),
            1 => self.bytes().map(Some),
            _ => Err(Malformed),
        }
    }

    /// Ends reading; nothing but padding may be left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.iter().all(|byte| *byte == 0) {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use super::{Decoder, Encoder, Malformed};

    #[test]
    fn neighbours_do_not_run_together() {
        let pair = |a: &str, b: &str| {
            let mut encoder = Encoder::new("t");
            encoder.text(a);
            encoder.text(b);
            encoder.finish().to_vec()
        };
        assert_ne!(pair("ab", "c"), pair("a", "bc"));
        assert_ne!(pair("", "x"), pair("x", ""));
        let list = |values: &[&str], next: &str| {
            let mut encoder = Encoder::new("t");
            encoder.list(&values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>());
            encoder.text(next);
            encoder.finish().to_vec()
        };
        assert_ne!(list(&["a"], "b"), list(&["a", "b"], ""));
    }

    #[test]
    fn reads_back_and_refuses_every_truncation() {
        let mut encoder = Encoder::new("t");
        encoder.text("one");
        encoder.optional(None);
        encoder.optional(Some(b"two"));
        let bytes = encoder.finish();
        let read = |bytes: &[u8]| -> Result<(String, bool, Vec<u8>), Malformed> {
            let mut decoder = Decoder::new("t", bytes)?;
            let one = decoder.text()?.to_owned();
            let none = decoder.optional()?.is_none();
            let two = decoder.optional()?.ok_or(Malformed)?.to_vec();
            decoder.end()?;
            Ok((one, none, two))
        };
        assert_eq!(read(&bytes).unwrap(), ("one".into(), true, b"two".to_vec()));
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes[..cut]), Err(Malformed), "cut at {cut}");
        }
        assert!(Decoder::new("u", &bytes).is_err());
    }

    #[test]
    fn padding_hides_length_and_must_be_zero() {
        let mut encoder = Encoder::new("t");
        encoder.text("x");
        encoder.pad(64);
        let mut bytes = encoder.finish().to_vec();
        assert_eq!(bytes.len(), 64);
        let read = |bytes: &[u8]| {
            let mut decoder = Decoder::new("t", bytes)?;
            decoder.text()?;
            decoder.end()
        };
        assert_eq!(read(&bytes), Ok(()));
        *bytes.last_mut().unwrap() = 1;
        assert_eq!(read(&bytes), Err(Malformed));
    }
}
