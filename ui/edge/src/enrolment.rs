//! Enrolment requests and answers as files, for a box that no link reaches.

use cunkou_casework::hex;
use cunkou_link::{EnrolRequest, OFFER_BYTES_MAX, SealedOffer};
use serde::Deserialize;
use serde_json::json;

/// Version 1 of both files.
const VERSION: u32 = 1;
/// What an answer is sealed for.
pub const SEALED: &[u8] = b"cunkou enrolment answer v1\0";
/// A file of an answer is never longer. Bytes.
pub const ANSWER_BYTES_MAX: u64 = 2 * OFFER_BYTES_MAX as u64 + 1024;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    cunkou_enrolment_request: u32,
    #[serde(default)]
    cunkou_enrolment_answer: u32,
    #[serde(default)]
    request: String,
    #[serde(default)]
    answer: String,
}

/// A request as a file; `name` is for the people who carry it.
#[must_use]
pub fn write_request(name: &str, request: &EnrolRequest) -> String {
    let bytes = minicbor::to_vec(request).unwrap_or_default();
    let request = hex::encode(&bytes);
    json!({ "cunkou_enrolment_request": VERSION, "name": name, "request": request }).to_string()
}

/// A request from a file; whether its proof holds is not looked at.
#[must_use]
pub fn read_request(text: &str) -> Option<EnrolRequest> {
    let file: File = serde_json::from_str(text).ok()?;
    let known = file.cunkou_enrolment_request == VERSION && file.request.len() <= 8192;
    minicbor::decode(&hex::decode(&file.request).filter(|_| known)?).ok()
}

/// An answer as a file.
#[must_use]
pub fn write_answer(answer: &SealedOffer) -> String {
    let bytes = minicbor::to_vec(answer).unwrap_or_default();
    json!({ "cunkou_enrolment_answer": VERSION, "answer": hex::encode(&bytes) }).to_string()
}

/// An answer from a file; whether its signature holds is not looked at.
#[must_use]
pub fn read_answer(text: &str) -> Option<SealedOffer> {
    if text.len() as u64 > ANSWER_BYTES_MAX {
        return None;
    }
    let file: File = serde_json::from_str(text).ok()?;
    let known = file.cunkou_enrolment_answer == VERSION;
    minicbor::decode(&hex::decode(&file.answer).filter(|_| known)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_and_an_answer_survive_the_stick() {
        let request = EnrolRequest::new([1; 32], &[3; 32], vec![1; 91], Vec::new());
        assert_eq!(read_request(&write_request("云岭", &request)), Some(request));
        let answer = SealedOffer::new(vec![1, 2], vec![vec![3]], &[4; 32]);
        assert_eq!(read_answer(&write_answer(&answer)), Some(answer.clone()));
        for bad in ["", "{}", "{\"cunkou_enrolment_answer\":2,\"answer\":\"00\"}", "[1]"] {
            assert_eq!(read_answer(bad), None, "{bad}");
            assert_eq!(read_request(bad), None, "{bad}");
        }
        assert_eq!(read_request(&write_answer(&answer)), None);
    }
}
