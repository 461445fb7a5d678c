//! Columns under construction: compact vectors that become Arrow arrays without a copy.
//!
//! A value of the wrong type is null in its column; the payload keeps it. So nothing here fails and nothing panics.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, BooleanBufferBuilder, NullBufferBuilder, PrimitiveArray,
    StringArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use bytes::Bytes;
use host_event::NodeRef;

/// Bytes of one text in a column, cut at a character: columns are for finding events, the payload has all of it.
const TEXT_BYTES_MAX: usize = 8 << 10;
/// Bytes of one text column: offsets are 32 bits wide. What comes behind is null.
const COLUMN_BYTES_MAX: usize = i32::MAX as usize;
/// What a nested column has before its first row.
const OFFSETS_START: [i32; 1] = [0];

/// A column that is being filled, one value per row.
pub(crate) trait Build: Default {
    const NULLABLE: bool;
    fn data_type() -> DataType;
    /// Memory it holds, roughly.
    fn bytes(&self) -> usize;
    fn finish(self) -> Filled;
}

/// A finished column.
pub(crate) enum Filled {
    Array(ArrayRef),
    /// Texts that are still where they were received; they are gathered once, in sorted order.
    Payloads(Vec<Option<Bytes>>),
}

pub(crate) type Int = Number<Int64Type, false>;
pub(crate) type MaybeInt = Number<Int64Type, true>;
pub(crate) type Real = Number<Float64Type, false>;
pub(crate) type MaybeReal = Number<Float64Type, true>;
pub(crate) type Time = Number<TimestampMicrosecondType, false>;
pub(crate) type MaybeTime = Number<TimestampMicrosecondType, true>;
pub(crate) type Text = Texts<false>;
pub(crate) type MaybeText = Texts<true>;
pub(crate) type Payload = Payloads<false>;
pub(crate) type MaybePayload = Payloads<true>;

pub(crate) struct Number<T: ArrowPrimitiveType, const NULLABLE: bool> {
    values: Vec<T::Native>,
    valid: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType, const NULLABLE: bool> Default for Number<T, NULLABLE> {
    fn default() -> Self {
        Number { values: Vec::new(), valid: NullBufferBuilder::new(0) }
    }
}

impl<T: ArrowPrimitiveType> Number<T, false> {
    pub(crate) fn push(&mut self, value: T::Native) {
        self.values.push(value);
        self.valid.append_non_null();
    }
}

impl<T: ArrowPrimitiveType> Number<T, true> {
    pub(crate) fn push(&mut self, value: Option<T::Native>) {
        self.values.push(value.unwrap_or_default());
        self.valid.append(value.is_some());
    }
}

impl<T: ArrowPrimitiveType, const NULLABLE: bool> Number<T, NULLABLE> {
    fn array(mut self) -> PrimitiveArray<T> {
        PrimitiveArray::new(ScalarBuffer::from(self.values), self.valid.finish())
            .with_data_type(primitive_type::<T>())
    }
}

impl<T: ArrowPrimitiveType, const NULLABLE: bool> Build for Number<T, NULLABLE> {
    const NULLABLE: bool = NULLABLE;
    fn data_type() -> DataType {
        primitive_type::<T>()
    }
    fn bytes(&self) -> usize {
        self.values.len() * size_of::<T::Native>()
    }
    fn finish(self) -> Filled {
        Filled::Array(Arc::new(self.array()))
    }
}

fn primitive_type<T: ArrowPrimitiveType>() -> DataType {
    match T::DATA_TYPE {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        other => other,
    }
}

/// True, false or unknown.
pub(crate) struct MaybeFlag {
    values: BooleanBufferBuilder,
    valid: NullBufferBuilder,
}

impl Default for MaybeFlag {
    fn default() -> Self {
        MaybeFlag { values: BooleanBufferBuilder::new(0), valid: NullBufferBuilder::new(0) }
    }
}

impl MaybeFlag {
    pub(crate) fn push(&mut self, value: Option<bool>) {
        self.values.append(value.unwrap_or_default());
        self.valid.append(value.is_some());
    }
}

impl Build for MaybeFlag {
    const NULLABLE: bool = true;
    fn data_type() -> DataType {
        DataType::Boolean
    }
    fn bytes(&self) -> usize {
        self.values.len() / 8
    }
    fn finish(mut self) -> Filled {
        Filled::Array(Arc::new(BooleanArray::new(self.values.finish(), self.valid.finish())))
    }
}

pub(crate) struct Texts<const NULLABLE: bool> {
    offsets: Vec<i32>,
    data: Vec<u8>,
    valid: NullBufferBuilder,
}

impl<const NULLABLE: bool> Default for Texts<NULLABLE> {
    fn default() -> Self {
        Texts { offsets: OFFSETS_START.into(), data: Vec::new(), valid: NullBufferBuilder::new(0) }
    }
}

impl Texts<false> {
    pub(crate) fn push(&mut self, text: &str) {
        let start = self.data.len();
        self.data.extend_from_slice(text.as_bytes());
        self.seal(start, true);
    }

    /// 32 hexadecimal digits.
    pub(crate) fn push_id(&mut self, id: u128) {
        let start = self.data.len();
        self.data.extend_from_slice(&hex(id));
        self.seal(start, true);
    }
}

impl Texts<true> {
    /// An empty text is null: to say nothing and to say "" are the same to whoever asks for a release.
    pub(crate) fn push(&mut self, text: Option<&str>) {
        let start = self.data.len();
        self.data.extend_from_slice(text.unwrap_or_default().as_bytes());
        self.seal(start, text.is_some_and(|t| !t.is_empty()));
    }

    pub(crate) fn push_id(&mut self, id: Option<u128>) {
        let start = self.data.len();
        self.data.extend_from_slice(id.map(hex).as_ref().map_or(&[][..], |digits| digits));
        self.seal(start, id.is_some());
    }

    /// The value as text, if it is a string, number or boolean.
    pub(crate) fn push_node(&mut self, node: Option<NodeRef<'_>>) {
        let start = self.data.len();
        let is_text = node.is_some_and(|n| n.append_text(&mut self.data));
        self.seal(start, is_text && self.data.len() > start);
    }
}

impl<const NULLABLE: bool> Texts<NULLABLE> {
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Ends the value that was appended behind `start`.
    fn seal(&mut self, start: usize, valid: bool) {
        if self.data.len() - start > TEXT_BYTES_MAX {
            let cut = floor_char_boundary(&self.data, start + TEXT_BYTES_MAX);
            self.data.truncate(cut);
        }
        let fits = self.data.len() <= COLUMN_BYTES_MAX;
        if !fits {
            self.data.truncate(start);
        }
        self.offsets.push(self.data.len() as i32);
        self.valid.append(valid && fits || !NULLABLE);
    }

    pub(crate) fn array(mut self) -> StringArray {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        StringArray::try_new(offsets, self.data.into(), self.valid.finish())
            .expect("documents are UTF-8, and texts are cut between characters")
    }
}

impl<const NULLABLE: bool> Build for Texts<NULLABLE> {
    const NULLABLE: bool = NULLABLE;
    fn data_type() -> DataType {
        DataType::Utf8
    }
    fn bytes(&self) -> usize {
        self.data.len() + 4 * self.offsets.len()
    }
    fn finish(self) -> Filled {
        Filled::Array(Arc::new(self.array()))
    }
}

/// The largest place up to `at` where a character of this UTF-8 begins.
fn floor_char_boundary(data: &[u8], at: usize) -> usize {
    (0..=at).rev().find(|i| data.get(*i).is_none_or(|b| b & 0xc0 != 0x80)).unwrap_or_default()
}

fn hex(id: u128) -> [u8; 32] {
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(id.to_be_bytes()) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    digits
}

/// JSON texts of whole records, kept as they were received.
#[derive(Default)]
pub(crate) struct Payloads<const NULLABLE: bool> {
    values: Vec<Option<Bytes>>,
    bytes: usize,
}

impl<const NULLABLE: bool> Payloads<NULLABLE> {
    fn add(&mut self, payload: Option<Bytes>) {
        self.bytes += payload.as_ref().map_or(0, Bytes::len);
        self.values.push(payload);
    }
}

impl Payloads<false> {
    pub(crate) fn push(&mut self, payload: Bytes) {
        self.add(Some(payload));
    }
}

impl Payloads<true> {
    pub(crate) fn push(&mut self, payload: Option<Bytes>) {
        self.add(payload);
    }
}

impl<const NULLABLE: bool> Build for Payloads<NULLABLE> {
    const NULLABLE: bool = NULLABLE;
    fn data_type() -> DataType {
        DataType::Utf8View
    }
    fn bytes(&self) -> usize {
        self.bytes + self.values.len() * size_of::<Option<Bytes>>()
    }
    fn finish(self) -> Filled {
        Filled::Payloads(self.values)
    }
}

/// Where the rows of a nested column end among its elements.
pub(crate) struct Rows(Vec<i32>);

impl Default for Rows {
    fn default() -> Self {
        Rows(OFFSETS_START.into())
    }
}

impl Rows {
    /// Ends a row behind element `len`.
    pub(crate) fn end(&mut self, len: usize) {
        self.0.push(i32::try_from(len).expect("elements are fewer than the bytes of their texts"));
    }

    pub(crate) fn bytes(&self) -> usize {
        4 * self.0.len()
    }

    pub(crate) fn offsets(self) -> OffsetBuffer<i32> {
        OffsetBuffer::new(ScalarBuffer::from(self.0))
    }
}

/// An array of a column that is not a payload.
pub(crate) fn array_of(column: impl Build) -> ArrayRef {
    match column.finish() {
        Filled::Array(array) => array,
        Filled::Payloads(_) => unreachable!("payloads are never nested"),
    }
}

/// No nulls: structs within lists are always there.
pub(crate) const NO_NULLS: Option<NullBuffer> = None;

#[cfg(test)]
mod tests {
    use arrow::array::Array;

    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        let mut column = MaybeText::default();
        column.push(Some(&"é".repeat(TEXT_BYTES_MAX)));
        column.push(Some(&format!("a{}", "é".repeat(TEXT_BYTES_MAX))));
        column.push(Some(""));
        column.push(None);
        let array = column.array();
        assert_eq!(array.value(0).len(), TEXT_BYTES_MAX);
        assert_eq!(array.value(1).len(), TEXT_BYTES_MAX - 1);
        assert!(array.is_null(2) && array.is_null(3));
    }

    #[test]
    fn ids_are_32_digits() {
        let mut column = Text::default();
        column.push_id(0xab);
        assert_eq!(column.array().value(0), "000000000000000000000000000000ab");
    }
}
