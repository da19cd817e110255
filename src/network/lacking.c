#include "network/lacking.h"

#include <errno.h>

bool lacking(int r, const char *module, struct err **reterr)
{
	switch (-r) {
	case EPERM:
	case EACCES:
		err_set(reterr, ERR_UNSUPPORTED, -r,
			"networks take CAP_NET_ADMIN, which tared was started without; --network host works");
		return true;
	case EOPNOTSUPP:
	case EPROTONOSUPPORT:
	case EAFNOSUPPORT:
		err_set(reterr, ERR_UNSUPPORTED, -r,
			"networks take %s, which this kernel does not have (modprobe %s); --network none and --network host "
			"work",
			module, module);
		return true;
	default: return false;
	}
}
