//! The wall display's panels and screens, against models of the chips and golden pictures.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod panel {
    mod care;
    mod chip;
    mod desk;
    mod hardware;
    mod lcd;
    mod lcd_chip;
    mod oled;
    mod pictures;
    mod rig;
}
