//! Length-prefixed messages on a stream.

use crate::LinkError;
use crate::line::{ReadError, RecvStream, SendStream};

pub(crate) async fn send(stream: &mut SendStream, bytes: &[u8]) -> Result<(), LinkError> {
    let length = u32::try_from(bytes.len()).map_err(|_| LinkError::Broken("too long".into()))?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(bytes).await
}

/// Reads one message of at most `most` bytes; nothing when the stream has ended.
pub(crate) async fn receive(
    stream: &mut RecvStream,
    most: usize,
) -> Result<Option<Vec<u8>>, LinkError> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Ok(()) => {}
        Err(ReadError::Early(0)) => return Ok(None),
        Err(e) => return Err(LinkError::Broken(e.to_string())),
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > most {
        return Err(LinkError::Violation(format!("a message of {length} bytes")));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.map_err(|e| LinkError::Broken(e.to_string()))?;
    Ok(Some(bytes))
}
