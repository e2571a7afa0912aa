//! `cunkou-ukey`: signs what the console shows on a UKey, and prints what to paste back.
//!
//! It runs on the computer where the UKey is plugged in and speaks with nothing but the token.

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use cunkou_casework::webauthn::{base64url, from_base64url};
use p256::ecdsa::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// What may be signed begins so: this program signs nothing else.
const PREFIX: &[u8] = b"cunkou ";
/// What the console shows is never longer. Bytes.
const MESSAGE_BYTES_MAX: usize = 128;

/// Signs what the console shows on a UKey (PKCS#11), and prints what to paste back.
#[derive(Debug, Parser)]
#[command(
    name = "cunkou-ukey",
    version,
    about = "用 UKey 签审核台上显示的内容\nSigns on a UKey what the console shows",
    after_help = "Example:
  cunkou-ukey --module /usr/lib/softhsm/libsofthsm2.so --token zhao Y3Vua291IHBlcnNvbiB2MQ…

The UKey's PIN is read from standard input. The key must be EC on P-256. Paste the line that is
printed into the page."
)]
struct Arguments {
    /// The UKey maker's PKCS#11 library.
    #[arg(long)]
    module: PathBuf,
    /// Label of the token, where several are plugged in.
    #[arg(long)]
    token: Option<String>,
    /// Label of the key, where the token has several.
    #[arg(long)]
    key: Option<String>,
    /// What the console shows.
    message: String,
}

#[expect(clippy::print_stdout, reason = "the answer goes to the terminal")]
fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let message =
        from_base64url(arguments.message.trim()).context("copy the whole line from the console")?;
    ensure!(
        message.starts_with(PREFIX) && message.len() <= MESSAGE_BYTES_MAX,
        "this is no line of the console; nothing was signed"
    );
    let mut pin = Zeroizing::new(String::new());
    std::io::stdin().read_line(&mut pin).context("no PIN on standard input")?;
    let session = open(&arguments, pin.trim())?;
    let private = only_key(&session, &arguments)?;
    let public = public_of(&session, private)?;
    let digest = Sha256::digest(&message);
    let raw = session.sign(&Mechanism::Ecdsa, private, &digest).context("the UKey did not sign")?;
    let signature = Signature::from_slice(&raw).context("not a signature on P-256")?;
    println!("{}.{}", base64url(&public), base64url(signature.to_der().as_bytes()));
    Ok(())
}

fn open(arguments: &Arguments, pin: &str) -> Result<Session> {
    let library = Pkcs11::new(&arguments.module)
        .with_context(|| format!("{} is no PKCS#11 library", arguments.module.display()))?;
    library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    for slot in library.get_slots_with_token()? {
        let label = library.get_token_info(slot)?.label().trim().to_owned();
        if arguments.token.as_ref().is_none_or(|wanted| *wanted == label) {
            let session = library.open_ro_session(slot)?;
            session
                .login(UserType::User, Some(&AuthPin::new(pin.into())))
                .context("the UKey does not take this PIN")?;
            return Ok(session);
        }
    }
    bail!("no such UKey is plugged in")
}

fn only_key(session: &Session, arguments: &Arguments) -> Result<ObjectHandle> {
    let mut wanted =
        vec![Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::KeyType(KeyType::EC)];
    wanted.extend(arguments.key.as_ref().map(|k| Attribute::Label(k.clone().into_bytes())));
    match session.find_objects(&wanted)?[..] {
        [key] => Ok(key),
        [] => bail!("the UKey has no EC key of that name"),
        _ => bail!("the UKey has several EC keys; name one with --key"),
    }
}

/// The public half: 33 bytes of P-256.
fn public_of(session: &Session, private: ObjectHandle) -> Result<Vec<u8>> {
    let id = session.get_attributes(private, &[AttributeType::Id])?;
    let mut wanted = vec![Attribute::Class(ObjectClass::PUBLIC_KEY)];
    wanted.extend(id);
    let publics = session.find_objects(&wanted)?;
    let public = publics.first().context("the UKey does not show the public half of the key")?;
    let found = session.get_attributes(*public, &[AttributeType::EcPoint])?;
    let Some(Attribute::EcPoint(point)) = found.first() else {
        bail!("the UKey does not show the public half of the key")
    };
    // An octet string in DER around the point; some tokens leave it out.
    let bare = point.strip_prefix(&[0x04, 0x41]).unwrap_or(point);
    let key = VerifyingKey::from_sec1_bytes(bare).context("the key is not on P-256")?;
    Ok(key.to_sec1_point(true).as_bytes().to_vec())
}
