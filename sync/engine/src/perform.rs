//! What a session asks of the store, asked.

use crate::{Input, Output, PeerInfo, Port, PortError};

/// Does what has to do with the store alone, and gives what is to be told to the session. What else
/// a session wants (sending, greetings, batches, questions, the end) is the driver's, and nothing
/// happens here.
///
/// # Errors
/// When the store fails.
pub fn perform(port: &dyn Port, peer: &PeerInfo, output: Output) -> Result<Vec<Input>, PortError> {
    let input = match output {
        Output::Load(part) => {
            let loaded = port.load_part(peer, &part)?;
            let (upto, head, entries) = (loaded.upto, loaded.head, loaded.entries);
            Input::Loaded { scope: part.scope, upto, head, entries }
        }
        Output::Acked { scope, upto } => {
            port.acked(peer, &scope, upto)?;
            return Ok(Vec::new());
        }
        Output::Name { scope, after, count_max } => {
            let named = port.named(peer, &scope, after, count_max)?;
            let (upto, head) = (named.upto, named.head);
            Input::Named { scope, upto, head, positions: named.positions, names: named.names }
        }
        Output::Which { scope, names } => {
            let lacking = port.lacking(peer, &scope, &names)?;
            Input::Lacking { scope, lacking }
        }
        Output::Sum(scopes) => Input::Summed(port.sums(peer, &scopes)?),
        Output::Sketch { scope } => {
            let sketch = port.sketch(peer, &scope)?;
            Input::Sketch { scope, sketch }
        }
        Output::Differences { scope, sketch } => {
            let found = port.differences(peer, &scope, &sketch)?;
            Input::Differences { scope, found }
        }
        Output::WholeNames { scope, keys } => {
            let names = port.whole_names(&scope, &keys)?;
            Input::WholeNames { scope, names }
        }
        Output::Names { scope } => {
            let names = port.names(peer, &scope)?;
            Input::Names { scope, names }
        }
        Output::Pick { scope, names, bytes_max } => {
            let picked = port.pick(peer, &scope, &names, bytes_max)?;
            Input::Picked { scope, dealt: picked.dealt, entries: picked.entries }
        }
        Output::Heal { scope, entries } => {
            let new = port.heal(peer, &scope, &entries)?;
            Input::Healed { scope, new }
        }
        Output::Wholes { scope, after, bytes_max } => {
            let wholes = port.wholes(peer, &scope, &after, bytes_max)?;
            Input::Wholes { scope, wholes }
        }
        Output::Warm { scope, wholes } => {
            port.warm(peer, &scope, &wholes)?;
            Input::Warmed { scope }
        }
        Output::Repaired { scope, repaired } => {
            port.repaired(peer, &scope, repaired)?;
            return Ok(Vec::new());
        }
        _ => return Ok(Vec::new()),
    };
    Ok(vec![input])
}
