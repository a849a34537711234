#include "benchpage.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char html[] = {
#embed "Page/template.html"
};

static const unsigned char style[] = {
#embed "Page/style.css"
};

// In the order they run.
static const unsigned char script[] = {
#embed "Page/script/base.js"
  ,
#embed "Page/script/curves.js"
  ,
#embed "Page/script/theme.js"
  ,
#embed "Page/script/state.js"
  ,
#embed "Page/script/plot.js"
  ,
#embed "Page/script/rates.js"
  ,
#embed "Page/script/speed.js"
  ,
#embed "Page/script/summary.js"
  ,
#embed "Page/script/matrix.js"
  ,
#embed "Page/script/viewer.js"
  ,
#embed "Page/script/gestures.js"
  ,
#embed "Page/script/points.js"
  ,
#embed "Page/script/report.js"
  ,
#embed "Page/script/main.js"
};

static const unsigned char chart[] = {
#embed "Page/chart/chart.min.js"
};

static const unsigned char licence[] = {
#embed "Page/chart/LICENSE"
};

nc_page_part nc_page_template(void) { return (nc_page_part){html, sizeof html}; }
nc_page_part nc_page_style(void) { return (nc_page_part){style, sizeof style}; }
nc_page_part nc_page_script(void) { return (nc_page_part){script, sizeof script}; }
nc_page_part nc_page_chart(void) { return (nc_page_part){chart, sizeof chart}; }
nc_page_part nc_page_chart_licence(void) { return (nc_page_part){licence, sizeof licence}; }
