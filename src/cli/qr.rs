//! A code to scan, on the terminal and as a picture.

use qrcode::render::{svg, unicode};
use qrcode::{EcLevel, QrCode};

use super::exit::Failure;

/// Side of the picture, pixels at least; a printer scales it without loss.
const SVG_SIDE_MIN: u32 = 320;

fn code(text: &str) -> Result<QrCode, Failure> {
    // Medium correction: a printed certificate is folded and carried for three years.
    QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|e| Failure::failed(format!("the text does not fit a QR code: {e}")))
}

/// The code in half blocks, two modules a character; dark on light also where the terminal is dark.
pub(crate) fn on_terminal(text: &str) -> Result<String, Failure> {
    let code = code(text)?;
    Ok(code
        .render::<unicode::Dense1x2>()
        .dark_color(unicode::Dense1x2::Light)
        .light_color(unicode::Dense1x2::Dark)
        .build())
}

/// The code as a picture.
pub(crate) fn as_svg(text: &str) -> Result<String, Failure> {
    let code = code(text)?;
    Ok(code.render::<svg::Color<'_>>().min_dimensions(SVG_SIDE_MIN, SVG_SIDE_MIN).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_square_and_bounded_by_light() {
        let text = on_terminal("LD1:TEST").unwrap();
        let lines: Vec<Vec<char>> = text.lines().map(|l| l.chars().collect()).collect();
        assert!(lines.iter().all(|l| l.len() == lines[0].len()));
        assert!(lines[0].iter().all(|c| *c == '█'), "the quiet zone is light");
        assert!(as_svg("LD1:TEST").unwrap().contains("<svg"));
        assert!(on_terminal(&"A".repeat(5_000)).is_err());
    }
}
