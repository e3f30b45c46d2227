// A path of constant lightness and chroma in Oklab (Ottosson 2020), from the hue of blue to that of
// red: equal differences of heat look equally large, and every colour is as readable as every
// other, on a dark ground and on a light one. Rainbow scales have neither property.
#include "cli/ramp.h"

#include <math.h>

static const double lightness = 0.66;
static const double chroma = 0.17;
static const double cold_hue_deg = 258;
static const double hot_hue_deg = 387; // red, one turn on

static unsigned char gamma_encode(double linear) {
    double x = linear <= 0.0031308 ? 12.92 * linear : 1.055 * pow(linear, 1 / 2.4) - 0.055;
    return (unsigned char)lround(255 * fmin(1, fmax(0, x)));
}

struct colour ramp_colour(double heat) {
    double part = isnan(heat) ? 0 : fmin(1, fmax(0, heat));
    double hue = (cold_hue_deg + part * (hot_hue_deg - cold_hue_deg)) * M_PI / 180;
    double a = chroma * cos(hue);
    double b = chroma * sin(hue);
    double l = pow(lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
    double m = pow(lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
    double s = pow(lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
    return (struct colour){
        .red = gamma_encode(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
        .green = gamma_encode(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
        .blue = gamma_encode(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s),
    };
}

struct colour ramp_thermal(double heat) {
    // Sixteen places along the dashboard's path (web/colour.js); between them straight lines do.
    static const struct colour places[] = {
        {11, 10, 31},   {29, 15, 57},   {48, 19, 85},    {71, 25, 103},
        {100, 32, 104}, {131, 35, 105}, {157, 46, 98},   {181, 58, 84},
        {207, 69, 64},  {222, 96, 58},  {236, 122, 49},  {245, 149, 53},
        {248, 178, 71}, {249, 205, 97}, {251, 226, 156}, {252, 246, 207}};
    double at = (isnan(heat) ? 0 : fmin(1, fmax(0, heat))) * 15;
    int i = at < 14 ? (int)at : 14;
    double part = at - i;
    const struct colour *a = &places[i], *b = &places[i + 1];
    return (struct colour){
        .red = (unsigned char)lround(a->red + part * (b->red - a->red)),
        .green = (unsigned char)lround(a->green + part * (b->green - a->green)),
        .blue = (unsigned char)lround(a->blue + part * (b->blue - a->blue)),
    };
}

// The cube's levels are 0, 95, 135, 175, 215, 255.
static int cube_level(int x) {
    return x < 48 ? 0 : x < 115 ? 1 : (x - 35) / 40;
}

int ramp_terminal_index(struct colour c) {
    return 16 + 36 * cube_level(c.red) + 6 * cube_level(c.green) + cube_level(c.blue);
}
