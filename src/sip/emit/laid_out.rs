//! The fast path of writing requests: a request laid out once is copied, and only the parts that
//! differ are overwritten. The slow twin, `RegisterTemplate::write_pieces`, writes any request.

use super::super::branch::hex8;
use super::super::challenge::Role;
use super::super::digest::{Algorithm, Protection, Qop};
use super::super::short::copy;
use super::{Authorization, Out, Overflow, Register, eight_digits, is_on_one_line, is_plain, is_quotable};
use std::fmt;

/// A request as it was written once, for all that have its shape: copied at once and written over,
/// it costs a third of what its pieces do. Users of a trunk have names like `agent00042` and their
/// registrar challenges them alike, so most requests are like the first.
#[derive(Clone)]
pub(super) struct LaidOut {
    text: Box<[u8]>,
    shape: Shape,
    places: Blanks,
}

/// What requests have in common that differ in nothing but what [`Blanks`] names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    user_len: usize,
    expires: u32,
    credentials: Option<CredentialsShape>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct CredentialsShape {
    role: Role,
    username_len: usize,
    userhash: bool,
    realm_len: usize,
    nonce_len: usize,
    opaque_len: Option<usize>,
    response_len: usize,
    algorithm: Option<Algorithm>,
    protection: Option<Protection>,
}

/// Where in a request that was written stands what differs from one to the next.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Blanks {
    pub(super) branch: usize,
    /// Of the user in From, To and Contact; where the Contact has a user of its own, in To again.
    pub(super) users: [usize; 3],
    pub(super) from_tag: usize,
    /// Of the tag in the Contact; where it is not there, in From again.
    pub(super) instance: usize,
    pub(super) call_id: usize,
    pub(super) cseq: usize,
    pub(super) credentials: CredentialsBlanks,
}

#[derive(Clone, Copy, Default, Debug)]
pub(super) struct CredentialsBlanks {
    pub(super) username: usize,
    pub(super) realm: usize,
    pub(super) nonce: usize,
    pub(super) response: usize,
    pub(super) cnonce: usize,
    pub(super) nc: usize,
    pub(super) opaque: usize,
}

/// Sequence numbers that a text is laid out for have so many digits.
const CSEQ_DIGITS: usize = 7;

impl Shape {
    /// The shape of a request; `None` for one whose parts are not as long as they are given, or not
    /// in the usual number: escapes, folds, credentials for several realms, another number
    /// of digits.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a number of digits")]
    pub(super) fn of(register: &Register<'_>) -> Option<Shape> {
        let digits = 10u32.pow(CSEQ_DIGITS as u32 - 1)..10u32.pow(CSEQ_DIGITS as u32);
        let Register { user, cseq, expires, authorizations, .. } = *register;
        let credentials = match authorizations {
            [] => None,
            [authorization] => Some(CredentialsShape::of(authorization, user)?),
            _ => return None,
        };
        (digits.contains(&cseq) && is_plain(user)).then_some(Shape { user_len: user.len(), expires, credentials })
    }
}

impl CredentialsShape {
    fn of(authorization: &Authorization<'_>, user: &[u8]) -> Option<Self> {
        let Authorization { role, username, userhash, realm, nonce, opaque, algorithm, qop, response } = *authorization;
        // As long as those of this crate.
        let usual_qop = qop.is_none_or(|qop| qop.cnonce.len() == CNONCE_LEN);
        // What needs no escapes in an address needs none between quotes either.
        let plain_name = username == user || is_quotable(username);
        let on_one_line = is_on_one_line(realm) && is_on_one_line(nonce) && opaque.is_none_or(is_on_one_line);
        (usual_qop && plain_name && on_one_line).then(|| CredentialsShape {
            role,
            username_len: username.len(),
            userhash,
            realm_len: realm.len(),
            nonce_len: nonce.len(),
            opaque_len: opaque.map(<[u8]>::len),
            response_len: response.as_bytes().len(),
            algorithm,
            protection: qop.map(|qop| qop.protection),
        })
    }
}

/// Length of a client nonce that a text is laid out for.
const CNONCE_LEN: usize = 16;

impl Blanks {
    /// The same in a text whose branch has become longer; all the others stand behind it.
    pub(super) fn behind(mut self, more: usize) -> Blanks {
        let Blanks { branch: _, users: [from, to, contact], from_tag, instance, call_id, cseq, credentials } =
            &mut self;
        let CredentialsBlanks { username, realm, nonce, response, cnonce, nc, opaque } = credentials;
        let head = [from, to, contact, from_tag, instance, call_id, cseq];
        for place in head.into_iter().chain([username, realm, nonce, response, cnonce, nc, opaque]) {
            *place += more;
        }
        self
    }
}

impl fmt::Debug for LaidOut {
    /// Without the text, which holds an answer to a challenge.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaidOut").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl LaidOut {
    /// The request that was written as `text`.
    pub(super) fn new(text: &[u8], shape: Shape, places: Blanks) -> Self {
        LaidOut { text: text.into(), shape, places }
    }

    /// Whether requests of this shape can be written.
    #[inline]
    pub(super) fn has(&self, shape: Shape) -> bool {
        self.shape == shape
    }

    /// Writes a request of this shape.
    #[inline]
    pub(super) fn write(&self, register: &Register<'_>, out: &mut Out<'_>) -> Result<(), Overflow> {
        let Blanks { branch, users, from_tag, instance, call_id, cseq, credentials } = &self.places;
        let text = out.put_open(&self.text)?;
        for at in users {
            overwrite(text, *at, register.user);
        }
        overwrite(text, *branch, register.branch.as_bytes());
        overwrite(text, *from_tag, register.from_tag);
        overwrite(text, *instance, register.from_tag);
        overwrite(text, *call_id, register.call_id);
        let [_, digits @ ..] = eight_digits(register.cseq).to_le_bytes();
        overwrite(text, *cseq, &digits);
        let [authorization, ..] = register.authorizations else { return Ok(()) };
        overwrite(text, credentials.username, authorization.username);
        overwrite(text, credentials.realm, authorization.realm);
        overwrite(text, credentials.nonce, authorization.nonce);
        overwrite(text, credentials.response, authorization.response.as_bytes());
        if let Some(Qop { nc, cnonce, .. }) = authorization.qop {
            overwrite(text, credentials.cnonce, cnonce);
            overwrite(text, credentials.nc, &hex8(nc));
        }
        if let Some(opaque) = authorization.opaque {
            overwrite(text, credentials.opaque, opaque);
        }
        Ok(())
    }
}

#[inline(always)]
fn overwrite(text: &mut [u8], at: usize, part: &[u8]) {
    copy(&mut text[at..at + part.len()], part);
}
