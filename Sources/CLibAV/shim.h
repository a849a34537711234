#include <libavcodec/avcodec.h>
#include <libavutil/avutil.h>
#include <libavutil/imgutils.h>
<<<<<<< HEAD
#include <libavutil/md5.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
=======
#include <libavutil/pixdesc.h>
>>>>>>> wt-cli
