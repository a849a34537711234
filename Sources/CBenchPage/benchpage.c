#include "benchpage.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char html[] = {
#embed "Page/index.html"
};

nc_page_part nc_page_html(void) { return (nc_page_part){html, sizeof html}; }
