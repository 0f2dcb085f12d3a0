//! Forms and queries: what the lenient parser of the URL standard would have to repair is refused, everything else means
//! the same to both.

use std::collections::BTreeMap;

use leadgate::http::form::Params;
use percent_encoding::percent_decode;

/// `input` is a body or a query.
pub fn form(input: &[u8]) {
    let read = Params::parse(input);
    assert_eq!(read.is_ok(), needs_no_repair(input), "{read:?}");
    let Ok(params) = read else { return };

    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(input).into_owned().collect();
    let mut values = BTreeMap::<&str, Vec<&str>>::new();
    pairs.iter().for_each(|(name, value)| values.entry(name).or_default().push(value));
    for (name, values) in &values {
        let only = Some(values[0]).filter(|value| values.len() == 1 && !value.is_empty());
        assert_eq!(params.get(name), only, "{name:?}");
        assert_eq!(params.is_repeated(name), values.len() > 1, "{name:?}");
    }
    let repeated = values.iter().find(|(_, values)| values.len() > 1).map(|(name, _)| *name);
    assert_eq!(params.repeated(), repeated);

    let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
    // What has neither name nor value is written as nothing but its `=`.
    assert!(Params::parse(encoded.as_bytes()).as_ref() == Ok(&params), "{encoded}");
}

/// Whether every `%` has its digits, and every name and value is UTF-8 without NUL.
fn needs_no_repair(input: &[u8]) -> bool {
    let complete = |at: usize| input.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    let escapes = (0..input.len()).filter(|&at| input[at] == b'%').all(complete);
    let text = |piece: &[u8]| percent_decode(piece).decode_utf8().is_ok_and(|text| !text.contains('\0'));
    escapes && input.split(|byte| b"&=".contains(byte)).all(text)
}
