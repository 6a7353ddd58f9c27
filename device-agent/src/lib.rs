//! What hangs on the wall: a Raspberry Pi agent with an I2C display.
