/* SPDX-License-Identifier: Apache-2.0 */
#include "image/font.h"

static const struct vt_glyph glyphs['~' - ' ' + 1] = {
    {4, ""}, {2, "1q1i 1f1e"},                                 /* ! */
    {4, "1q1n 3q3n"},                                          /* " */
    {8, "3q1e 7q5e 0i7i 1m8m"},                                /* # */
    {7, "7n6o4p3p1o0n0m1l6j7i7h6g4f3f1g0h 3q3e"},              /* $ */
    {8, "8q0e 1q3q4o3m1m0o1q 5i7i8g7e5e4g5i"},                 /* % */
    {8, "8e2m2o3q5q6o6n1i0g1e4e6f8i"},                         /* & */
    {2, "1q1n"},                                               /* ' */
    {3, "3q1o0l0h1e3c"},                                       /* ( */
    {3, "0q2o3l3h2e0c"},                                       /* ) */
    {6, "3q3k 0o6l 6o0l"},                                     /* * */
    {8, "4n4f 0j8j"},                                          /* + */
    {2, "1f1e0c"},                                             /* , */
    {6, "0j6j"},                                               /* - */
    {2, "1f1e"},                                               /* . */
    {6, "6q0d"},                                               /* / */
    {7, "3q1p0n0h1f3e4e6f7h7n6p4q3q"},                         /* 0 */
    {7, "1o4q4e"},                                             /* 1 */
    {7, "0n1p3q4q6p7n7l6j0e7e"},                               /* 2 */
    {7, "0p2q5q7o7m5k2k 5k7j7g5e2e0f"},                        /* 3 */
    {7, "5e5q0h7h"},                                           /* 4 */
    {7, "6q1q0k2m4m6l7j7h6f4e2e0f"},                           /* 5 */
    {7, "6p4q3q1p0m0h1f3e4e6f7h7i6k4l3l1k0i"},                 /* 6 */
    {7, "0q7q3e"},                                             /* 7 */
    {7, "3q1p1m3k4k6m6p4q3q 3k0i0g1f3e4e6f7g7i4k"},            /* 8 */
    {7, "1f3e4e6f7i7n6p4q3q1p0n0m1k3j4j6k7m"},                 /* 9 */
    {2, "1m1l 1f1e"},                                          /* : */
    {2, "1m1l 1f1e0c"},                                        /* ; */
    {7, "7n0j7f"},                                             /* < */
    {7, "0l7l 0h7h"},                                          /* = */
    {7, "0n7j0f"},                                             /* > */
    {6, "0n1p2q4q5p6n6m5k3j3h 3f3e"},                          /* ? */
    {10, "7l6m4m3k3i4g6g7i7m 7i8g9g:i:l8o6q4q1o0l0i1f4d7d9e"}, /* @ */
    {8, "0e4q8e 1i7i"},                                        /* A */
    {7, "0e0q4q6p6m4k0k 4k7i7g5e0e"},                          /* B */
    {7, "7n6p4q3q1p0n0h1f3e4e6f7h"},                           /* C */
    {7, "0e0q4q6p7m7h6f4e0e"},                                 /* D */
    {6, "6q0q0e6e 0k5k"},                                      /* E */
    {6, "6q0q0e 0k5k"},                                        /* F */
    {7, "7n6p4q3q1p0n0h1f3e4e6f7h7j4j"},                       /* G */
    {7, "0q0e 7q7e 0k7k"},                                     /* H */
    {2, "1q1e"},                                               /* I */
    {5, "5q5h4f3e2e1f0h"},                                     /* J */
    {7, "0q0e 7q0i 2k7e"},                                     /* K */
    {6, "0q0e6e"},                                             /* L */
    {8, "0e0q4h8q8e"},                                         /* M */
    {7, "0e0q7e7q"},                                           /* N */
    {8, "3q1p0n0h1f3e5e7f8h8n7p5q3q"},                         /* O */
    {7, "0e0q5q7o7m5k0k"},                                     /* P */
    {8, "3q1p0n0h1f3e5e7f8h8n7p5q3q 5h8d"},                    /* Q */
    {7, "0e0q5q7o7m5k0k 4k7e"},                                /* R */
    {7, "7n6p4q3q1p0n0m1l6j7i7h6f4e3e1f0h"},                   /* S */
    {8, "0q8q 4q4e"},                                          /* T */
    {7, "0q0h1f3e4e6f7h7q"},                                   /* U */
    {8, "0q4e8q"},                                             /* V */
    {10, "0q2e5n8e:q"},                                        /* W */
    {7, "0q7e 7q0e"},                                          /* X */
    {8, "0q4k8q 4k4e"},                                        /* Y */
    {7, "0q7q0e7e"},                                           /* Z */
    {3, "3q0q0c3c"},                                           /* [ */
    {6, "0q6d"},                                               /* \ */
    {3, "0q3q3c0c"},                                           /* ] */
    {6, "0m3q6m"},                                             /* ^ */
    {8, "0c8c"},                                               /* _ */
    {3, "0q2n"},                                               /* ` */
    {6, "6m6e 6k4m2m0k0g2e4e6g"},                              /* a */
    {6, "0q0e 0k2m4m6k6g4e2e0g"},                              /* b */
    {6, "6k4m2m0k0g2e4e6g"},                                   /* c */
    {6, "6q6e 6k4m2m0k0g2e4e6g"},                              /* d */
    {6, "0i6i6k4m2m0k0g2e4e6f"},                               /* e */
    {5, "5q4q2o2e 0m4m"},                                      /* f */
    {6, "6m6c4a2a0b 6k4m2m0k0g2e4e6g"},                        /* g */
    {6, "0q0e 0k2m4m6k6e"},                                    /* h */
    {2, "1m1e 1q1p"},                                          /* i */
    {3, "2m2b1a0a 2q2p"},                                      /* j */
    {6, "0q0e 5m0h 2j6e"},                                     /* k */
    {3, "1q1g2e3e"},                                           /* l */
    {10, "0m0e 0k2m3m5k5e 5k7m8m:k:e"},                        /* m */
    {6, "0m0e 0k2m4m6k6e"},                                    /* n */
    {6, "2m0k0g2e4e6g6k4m2m"},                                 /* o */
    {6, "0m0a 0k2m4m6k6g4e2e0g"},                              /* p */
    {6, "6m6a 6k4m2m0k0g2e4e6g"},                              /* q */
    {4, "0m0e 0j2m4m"},                                        /* r */
    {6, "6l4m2m0l0k1j5i6h6g4e2e0f"},                           /* s */
    {4, "2q2g3e4e 0m4m"},                                      /* t */
    {6, "0m0g2e4e6g 6m6e"},                                    /* u */
    {6, "0m3e6m"},                                             /* v */
    {8, "0m2e4k6e8m"},                                         /* w */
    {6, "0m6e 6m0e"},                                          /* x */
    {6, "0m3e 6m3e2b0a"},                                      /* y */
    {6, "0m6m0e6e"},                                           /* z */
    {4, "4q3p2o2l0j2h2e3d4c"},                                 /* { */
    {2, "1q1b"},                                               /* | */
    {4, "0q1p2o2l4j2h2e1d0c"},                                 /* } */
    {7, "0i1k3k4i6i7k"},                                       /* ~ */
};

const struct vt_glyph *vt_font_glyph(char character) {
    return &glyphs[(character >= ' ' && character <= '~' ? character : '?') - ' '];
}
