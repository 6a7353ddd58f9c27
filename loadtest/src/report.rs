//! Tells a verdict: in a few lines, and as a page.
use crate::failure::Failure;
use crate::verdict::{Picture, Verdict};
/// Page.
pub fn page(_: &Verdict, _: &Picture, _: Option<&Verdict>) -> Result<String, Failure> {
    Ok(String::new())
}
/// Summary.
pub fn summary(v: &Verdict) -> String {
    format!("{v:#?}")
}
