//! Renewal requests and answers as files, for a box that no link reaches.

use cunkou_casework::hex;
use cunkou_link::{ANSWER_BYTES_MAX, REQUEST_BYTES_MAX, RenewRequest, SignedRenewal};
use serde::Deserialize;
use serde_json::json;

/// Version 1 of both files.
const VERSION: u32 = 1;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    cunkou_renewal: u32,
    #[serde(default)]
    request: String,
    #[serde(default)]
    answer: String,
}

fn read(text: &str, most: usize, pick: impl Fn(File) -> String) -> Option<Vec<u8>> {
    if text.len() > 2 * most + 1024 {
        return None;
    }
    let file: File = serde_json::from_str(text).ok()?;
    if file.cunkou_renewal != VERSION {
        return None;
    }
    hex::decode(&pick(file)).filter(|bytes| !bytes.is_empty())
}

/// A request as a file; `name` is for the people who carry it.
#[must_use]
pub fn write_request(name: &str, request: &RenewRequest) -> String {
    let bytes = minicbor::to_vec(request).unwrap_or_default();
    json!({ "cunkou_renewal": VERSION, "name": name, "request": hex::encode(&bytes) }).to_string()
}

/// A request from a file; whether its signature holds is not looked at.
#[must_use]
pub fn read_request(text: &str) -> Option<RenewRequest> {
    minicbor::decode(&read(text, REQUEST_BYTES_MAX, |file| file.request)?).ok()
}

/// An answer as a file.
#[must_use]
pub fn write_answer(answer: &SignedRenewal) -> String {
    let bytes = minicbor::to_vec(answer).unwrap_or_default();
    json!({ "cunkou_renewal": VERSION, "answer": hex::encode(&bytes) }).to_string()
}

/// An answer from a file; whether its signature holds is not looked at.
#[must_use]
pub fn read_answer(text: &str) -> Option<SignedRenewal> {
    minicbor::decode(&read(text, ANSWER_BYTES_MAX, |file| file.answer)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_and_an_answer_survive_the_stick() {
        let request = RenewRequest::new(&[3; 32], vec![1; 91], vec![vec![10, 0, 0, 1].into()]);
        assert_eq!(read_request(&write_request("云岭", &request)), Some(request));
        let answer = SignedRenewal { body: vec![1, 2].into(), proof: vec![3].into() };
        assert_eq!(read_answer(&write_answer(&answer)), Some(answer.clone()));
        for bad in ["", "{}", "{\"cunkou_renewal\":2,\"answer\":\"00\"}", "[1]"] {
            assert_eq!(read_answer(bad), None, "{bad}");
        }
        assert_eq!(read_request(&write_answer(&answer)), None);
    }
}
