// The colours of temperature: cold blue through violet to hot red, in even steps for the eye.
#ifndef CLI_RAMP_H
#define CLI_RAMP_H

struct colour {
    unsigned char red, green, blue;
};

// heat 0 is coldest, 1 hottest; what lies beyond is held at the end.
struct colour ramp_colour(double heat);
// The nearest of the 216 colours of a terminal's cube (16 to 231).
int ramp_terminal_index(struct colour colour);
// From night over crimson to white heat, growing lighter all the way: for areas, not for text.
struct colour ramp_thermal(double heat);

#endif
