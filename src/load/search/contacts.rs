//! How many contacts one address of record may have (RFC 3261 §10.3 leaves that to the registrar).
//!
//! Contacts are added one at a time. At the refusal, another user tells whether it is this address
//! that is full: if that one is refused too, it is a wider limit, and `concurrent` will find it.
//! Some registrars refuse nothing and push out the oldest contact; the list in the 200 shows that.

use super::{Confidence, Search, SearchField, SeatFate, Seating, StepPace, Stop, WordedRefusal};
use crate::vocab::saturating_u32;

/// What was found about one address of record.
#[derive(Clone, PartialEq, Debug)]
pub struct FoundContacts {
    pub limit: Option<u32>,
    /// So many were accepted.
    pub at_least: u32,
    pub refusal: Option<WordedRefusal>,
    /// Further contacts are accepted, but the oldest is pushed out from this many on.
    pub pushes_out_at: Option<u32>,
    /// High: a contact released made room for the one refused. Medium: another user was accepted
    /// meanwhile. Low: no limit was met, or nobody could be asked.
    pub confidence: Confidence,
}

/// Adds contacts of the first phone's user until one is refused; leaves none behind.
pub fn contacts<F: SearchField>(search: &mut Search<'_, F>, roster: &Seating) -> Result<FoundContacts, Stop> {
    search.begin("contacts");
    let mut found =
        FoundContacts { limit: None, at_least: 0, refusal: None, pushes_out_at: None, confidence: Confidence::Low };
    let Some((&first, others)) = roster.phones.split_first() else { return Ok(found) };
    let mut added = Vec::new();
    for &seat in [first].iter().chain(&roster.contacts) {
        let seen = search.register("one more contact of the same user", &[seat], StepPace::Steady(search.gentle))?;
        let refusal = match seen.answers.first().map(|answer| &answer.fate) {
            Some(SeatFate::Accepted { listed }) => {
                added.push(seat);
                found.at_least = saturating_u32(added.len());
                let listed = u32::from(*listed);
                if listed > 0 && listed < found.at_least {
                    found.pushes_out_at = Some(listed);
                    found.confidence = Confidence::High;
                    break;
                }
                continue;
            }
            Some(SeatFate::Refused(refusal)) => refusal.clone(),
            _ => WordedRefusal::silence(),
        };
        if added.is_empty() {
            break;
        }
        search.rest("after the refusal", search.patience(Some(&refusal)))?;
        if search.ask("the refused contact again", seat)?.is_ok() {
            // It was the pace or a hiccup.
            added.push(seat);
            found.at_least = saturating_u32(added.len());
            continue;
        }
        let wider = match others.first() {
            Some(&other) => search.ask("another user meanwhile", other)?.is_err(),
            None => false,
        };
        if wider {
            break;
        }
        found.limit = Some(found.at_least);
        found.refusal = Some(refusal);
        found.confidence = Confidence::Medium;
        search.release("make room for one contact", &added[added.len() - 1..], search.gentle)?;
        if search.ask("the refused contact in its place", seat)?.is_ok() {
            found.confidence = Confidence::High;
        }
        break;
    }
    search.clear("the contacts again", search.gentle * 4.0)?;
    Ok(found)
}
