#include "CSystemIO.h"
