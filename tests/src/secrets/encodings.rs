//! The forms in which a secret may have been written down.
//!
//! Invariant: a form is looked for only if the secret decides every byte of it,
//! so none is missed because of what stood before or after. It deliberately does
//! not undo encryption and compression; the scan opens git objects itself.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Every form of a secret, with the name of the form; the plain one comes first.
pub(super) fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![("plain", secret.to_vec())];
    let mut add = |name: &'static str, bytes: Vec<u8>| {
        if !forms.iter().any(|(_, known)| *known == bytes) {
            forms.push((name, bytes));
        }
    };
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    add("hexadecimal", hex.to_uppercase().into_bytes());
    add("hexadecimal", hex.into_bytes());
    for before in 0..3 {
        add("base64", base64(&STANDARD_NO_PAD, secret, before));
        add("base64", base64(&URL_SAFE_NO_PAD, secret, before));
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        let json = serde_json::Value::from(text).to_string();
        let json = json[1..json.len() - 1].to_owned();
        add("JSON", json.replace('/', "\\/").into_bytes());
        let nested = serde_json::Value::from(json.as_str()).to_string();
        add("JSON", json.into_bytes());
        add("JSON", nested.as_bytes()[1..nested.len() - 1].to_vec());
        let debug = format!("{text:?}");
        add("debug", debug.as_bytes()[1..debug.len() - 1].to_vec());
        add("percent", percent(secret).into_bytes());
        let wide = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        add("UTF-16", wide);
    }
    // As a list of numbers, which is how bytes look in JSON and in debug output.
    let numbers: Vec<String> = secret.iter().map(ToString::to_string).collect();
    add("numbers", numbers.join(",").into_bytes());
    add("numbers", numbers.join(", ").into_bytes());
    forms
}

/// The characters that stand for a secret wherever `before` bytes modulo three
/// come before it, without those that its neighbours have a part in.
fn base64(engine: &impl Engine, secret: &[u8], before: usize) -> Vec<u8> {
    let padded = [&vec![0; before], secret].concat();
    let text = engine.encode(&padded).into_bytes();
    let first = (before * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    text[first..last].to_vec()
}

fn percent(secret: &[u8]) -> String {
    secret
        .iter()
        .map(|&byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn is_found(secret: &[u8], text: &[u8]) -> bool {
        forms(secret).iter().any(|(_, form)| {
            assert!(form.len() >= 12, "a form as short as this is in anything");
            text.windows(form.len()).any(|window| window == form)
        })
    }

    #[test]
    fn every_form_is_recognised_between_others() {
        let secret = "pa\"ss/w\u{f6}rd+with \\ and more";
        let json = serde_json::json!({ "a": secret, "b": 1 }).to_string();
        let nested = serde_json::json!({ "text": json }).to_string();
        let mut texts = vec![
            format!("before {secret} after").into_bytes(),
            format!("{:?}", ("x", secret)).into_bytes(),
            format!("{:?}", secret.as_bytes()).into_bytes(),
            serde_json::json!(secret.as_bytes())
                .to_string()
                .into_bytes(),
            json.into_bytes(),
            nested.into_bytes(),
        ];
        for before in 0..7 {
            let whole = [&vec![b'#'; before], secret.as_bytes(), b"rest"].concat();
            texts.push(STANDARD.encode(&whole).into_bytes());
            texts.push(URL_SAFE_NO_PAD.encode(&whole).into_bytes());
            let hex: String = whole.iter().map(|byte| format!("{byte:02x}")).collect();
            texts.push(hex.into_bytes());
        }
        for text in texts {
            assert!(is_found(secret.as_bytes(), &text), "{text:?}");
        }
        assert!(!is_found(secret.as_bytes(), b"nothing of the kind in here"));
    }
}
