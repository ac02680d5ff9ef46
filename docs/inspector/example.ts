/** The examples of the page. */
import { formatRef, parseRef } from "../../typescript/src/index.js";

/** A ref with a small picture of its own: the cup of examples/images/coffee.jpg. */
const CUP =
  "mmraw:v3:eyJmYW1pbHkiOiJxd2VuX3ZsIiwiZmluZ2VycHJpbnQiOiJjMmYwOTYzNDViMGQ4NGU2YmQyZWUzOGI4MTVjYzMyOSIsIm1tX2hhc" +
  "2giOiI2OTY0ODk4ZTk0MzdkMTNmMjU4MjZjNjgwOTdlMWU3MSIsIm1vZGFsaXR5IjoiaW1hZ2UiLCJwYXlsb2FkIjp7ImltYWdlX2dyaWRfdGh" +
  "3IjpbWzEsMTQsMjBdXX0sInJhd191cmkiOiJkYXRhOmltYWdlL2pwZWc7YmFzZTY0LC85ai80QUFRU2taSlJnQUJBUUFBQVFBQkFBRC8yd0JEQ" +
  "UEwSkNnc0tDQTBMQ2dzT0RnMFBFeUFWRXhJU0V5Y2NIaGNnTGlreE1DNHBMU3d6T2tvK016WkdOeXd0UUZkQlJreE9VbE5TTWo1YVlWcFFZRXB" +
  "SVWsvLzJ3QkRBUTRPRGhNUkV5WVZGU1pQTlMwMVQwOVBUMDlQVDA5UFQwOVBUMDlQVDA5UFQwOVBUMDlQVDA5UFQwOVBUMDlQVDA5UFQwOVBUM" +
  "DlQVDA5UFQwOVBUMC8vd0FBUkNBQlFBSGdEQVNJQUFoRUJBeEVCLzhRQUh3QUFBUVVCQVFFQkFRRUFBQUFBQUFBQUFBRUNBd1FGQmdjSUNRb0w" +
  "vOFFBdFJBQUFnRURBd0lFQXdVRkJBUUFBQUY5QVFJREFBUVJCUkloTVVFR0UxRmhCeUp4RkRLQmthRUlJMEt4d1JWUzBmQWtNMkp5Z2drS0ZoY" +
  "1lHUm9sSmljb0tTbzBOVFkzT0RrNlEwUkZSa2RJU1VwVFZGVldWMWhaV21Oa1pXWm5hR2xxYzNSMWRuZDRlWHFEaElXR2g0aUppcEtUbEpXV2w" +
  "1aVptcUtqcEtXbXA2aXBxckt6dExXMnQ3aTV1c0xEeE1YR3g4akp5dExUMU5YVzE5aloydUhpNCtUbDV1Zm82ZXJ4OHZQMDlmYjMrUG42LzhRQ" +
  "Uh3RUFBd0VCQVFFQkFRRUJBUUFBQUFBQUFBRUNBd1FGQmdjSUNRb0wvOFFBdFJFQUFnRUNCQVFEQkFjRkJBUUFBUUozQUFFQ0F4RUVCU0V4Qmh" +
  "KQlVRZGhjUk1pTW9FSUZFS1JvYkhCQ1NNelV2QVZZbkxSQ2hZa05PRWw4UmNZR1JvbUp5Z3BLalUyTnpnNU9rTkVSVVpIU0VsS1UxUlZWbGRZV" +
  "1ZwalpHVm1aMmhwYW5OMGRYWjNlSGw2Z29PRWhZYUhpSW1La3BPVWxaYVhtSm1hb3FPa3BhYW5xS21xc3JPMHRiYTN1TG02d3NQRXhjYkh5TW5" +
  "LMHRQVTFkYlgyTm5hNHVQazVlYm42T25xOHZQMDlmYjMrUG42LzlvQURBTUJBQUlSQXhFQVB3RHoxUmdVOEhGTXJRc3RObXVmbVlGSS9VOVRXV" +
  "XBLS3V6YUVISjJSQkJESk8reU5jbXQyeTB4SWdHbHdXOTZ1V2RuSERIdGpVWUhWczhVOTVGVGhUbjBQcjlLNDUxblBTT3g2RktoR25xOVdQSlZ" +
  "FQUM0QS9PcGJMVEwzVkh4YlFrUWpxN2NBVmIwSFNScU41bWJjSWsrWi84QURQclcvZTZnSXo5bHRBSTRrNCtXcGpGSlhZVktqdnl4M0tFUGhlS" +
  "0ZjVGFna1o3ckd1ZjFxUStHclZoaUxVZWY5dVAvQU92VFZ1QUR6bXJNVnpHM0c2cjl4OURGeXFMcVpsNW9GN2FwdlZGbWlIVm9qbjlPdFpvYmQ" +
  "rRmRsRE84WkRJM0hwVlRXTk1qdTRHdmJSQXN5Y3lJQjk3Myt0S1ZKTlhpWEN1NzJtYzF5ZzNIa1U1Q1c1NEZQYTNtV1BkSVBsYjM2VWhHMFpIW" +
  "DJyRnF4MEpwcTZKVklVWlA1Vk5FNWNmTDkwZnBWRlpEMElKUHZWbUdUdjNxMGpLV3ByUXVqS0VRWmMwVkJha0ZpUjk0OTZLb3lhT0gwN1JmbEU" +
  "4K01kZWVuLzE2MHdFVUtSbkhVNTcrMUpMTzMzV081aC9BT2crditGRWR0Tk9kOHBLcU8zdFV5Yms3eU9tTVl3Vm9pU1R1NUt4a0JSMTlLaGVUS" +
  "TlXOVRVbHl5TCs1akFSVjY1OWFwQW5PYVJ2VGhwZG5kZUZDVjhPWE54bkxsMnlmb0Jpc3U3dTB0MXk1Sko3Q3BmQlYvR3ozV2x6RUtKeHZqSHZ" +
  "qQkg5ZndOVkxyUzUydjVFdWdSc09BUFVWVlYyaW1jcWplckpNcHRxc3NqWWhnWnZwelNycWR4SHpOYnNxK3BVaXRTS3dqUlFOb3g2Vkt0dXEvY" +
  "zQrbGMvdFVhY3FHNmZxaXZnS2ZxcHJvdE5uRFREYWNxNDZWeXM5Z2lzSm9CNWJaNUE2Zld0N1FNL05QS2RzY2E1WW5vRDNyZWpVdkt5T2V2VFN" +
  "qZEZIV3lzVncwYVlLb2ZteDJ6bkdheTVHTzNJUEo3Vm55Nm5KTnE5eGZJY3JMSWZsUFJrN0EvaFY4Qld4TkVjeE1NcU80OXFKL0UyYnhnNFFRa" +
  "2FrRGMzSHRWcUhERVlIRlJJRllnc1B3cWRWVk1zU2VPUUtSTHNYWVI1YVpWU2ZXaW9ZNzFDUXU0alBVZ1VWU01YdVpjTm1rSTNQeTRweDNiQ2V" +
  "nQXp4eFZsbEFWZk5sankzUkZPVCtWUlhMSWxySU1aWW9ldlRwVW1xZHpuWlNTMmZYbWxqUnBIQ29wSlBhcHJ5SVJyYk1Pa2tJYjhja0grVk1NN" +
  "Gl0d3FmS1crODNyN1V6dHZwb1JTK2RiVHE4Ym1OMWJBWUhsR0I0TmRocGZpYXcxVkV0Tlp4YTN5L0tKdWlPZjZWd3QxZmJEeU40UDNnZTlRU3p" +
  "KTEdTbVpCL0M0SEk5bUZiUmkzR3pXaHlWbEdVdDlUMVNUU3A5dStBclBHZWpJYzVxRVdGM25Ia1NmbFhtTnJxbDlha0xaM3MwV09nU1FnVmVQa" +
  "VR4QzY3QnFrK1A5OEQ5YXplRmhmc1o4OCs2WjZNMWlzRUpsMUNXTzFoSEpMc0JYTmEvNG1odUxLU3cwZFdXekh5dkxqSG1uMEh0Nm11VGtrYWV" +
  "UemRUdTVibGh6c0RseitKNkNyVWQ3NTF1MGFRQ09KaXUwNDZBWk9CK09NL1NyalRqVFh1b1N2S1M1bVNSakNCZlFWcGFkY2VXR2libFR5UFkxb" +
  "nIwcWFIaDZ3WjZiaW1yR3I5b3djQWYvV3FSWlNSbmRnL25WV1h5MVVaSi9EdlVCbFlrQnp4bmdWU1I1N0w1S3V3QXlNZHZmNjBWVFdabGJwelJ" +
  "UdUxsTDhVZVZNenhlVTU2NWJjVCtOUTZpTjFuSmpKSVUxYlVIYUMyUWZTbnZEbUIweHVaeGpiNmZYMm82aXZZNXFPNGp1ZEhnWmlkOFJLOGRnZ" +
  "WY1NS9PcUV6azU3RHNLcldzaHNyK1d6dVR0Um1JejZHcmM4TFJzVVljL3dBNnVVZVZuVFNuenc4ekt1RHVmSGZPSzNMUmJLenNwWXJtQjJmYmx" +
  "IRDdRRzlTTzlZbHloVnd3K3RPbHZETkNrREVxbWVSbml0bkhtU1NPZm1VSk52Y3JUeW1XVXNGQ2pzQUthSk5wQllaeDJwWDJrakdPbmJ0VENCb" +
  "XRVa2NqYjNPMDBHdzFIVm9ZZ2dLUkpFWFRkZ0RZY2pyam52d2F3YnhKYktjNFpTdkRGVllGZWZwME5kRG9sNUUrZ0xMTFBKSGJ3SjVVc2NUWk8" +
  "3bm5IYklOWWwvTXQyekpiUUMzdFE0K1hQek9lY1o5YXo2ampkN0Z5REx4STVCQ3NNZzFOa1JxV3pqajlhaXR3UWdYc0IwOUtodUpCTGNKYklRZ" +
  "HAzUDduMHJrdGVWajE1VDVLZDN1WDNjaGNQeXdIVHBta2p6d1dIMHBGeW9BSjNIc005S2tVOGNrZTVwdG5Ja1R4cU5oYkl3T3RGTVZnM3lBY0R" +
  "yUlVqMFJ2UklnSHpNV1lESkpIU3JFU2JBQ28zRTlTYUxjRXJzUmZxU2F2d3dSeHhzcWpkbjFyU3h6dG5uL2piU1dTVVg4UUJEakVtUFdzZlQ5V" +
  "mo4a1d1b0JtakgzSlI5NVA4QUVWNm5OWnBjeHl4em9IamNZUGZGZWFlSmZEYzJrM0pNWUx3TnlweDByV0RVbHl5SjVwUmx6UUgzVmtmSjgyTXJ" +
  "MQWYrV2ljajhmVDhhd3BRTjVDMDYydTdtemI5eE02ZW9CNE5TSmMyN1NCcDdZNDc3R3htdEl3Y1J6clJxTFhSbGZhZlNnSXhPTVZxTGM2VXcvN" +
  "WVJL3FBMytGUEZ4cFVaenZuYjZSZ2Yxb2M1ZGhxbFRlOGtVWUxlNFZpWVhaTWpCSU9NMXFXMXEyL3pKWGFTVHV6SE9LcnZxOXFneGIyck1mV1J" +
  "2NkNxRnpxRnpkZkt6N1UvdUlNQ29jYWs5OUMxVW9VdFZxelV2OEFVMGhYeUxRaDVqd1pCMFg2ZTlHbXhiRU1qY3VSMVA4QU9xRmhhTzhxNFRje" +
  "DZBOUI3bXVtdGJXSkhSWkdPYzVZaitkVEpSZ3VWQzU1MUh6U0pmS0NSZzRPU29PTzlOQy93Z0RQZjJxYVRybU1ZQTRBOXFVZ0pDZW1mNTFnMmF" +
  "vaUM3T0ZJSUhKb3BydVZUMHowRkZGcmxILzJRPT0iLCJydW5faWQiOiJleHA0MiJ9";

/** The tokens of its grid. */
const TOKENS = 70;

/** So many characters are left of a ref that is cut off: one more than base64 can end with. */
const CUT_AT = 301;

/** The same ref, but with the hash and the name of another picture. */
function broken(): string {
  return formatRef({ ...parseRef(CUP), mm_hash: "67f463a70fcc80e6b6c13d2563a723f2" });
}

/** A stored picture, as most refs name theirs. */
function stored(): string {
  const ref = parseRef(CUP);
  return formatRef({ ...ref, raw_image_id: `${ref.mm_hash}.jpg`, raw_uri: null });
}

function features(): string {
  const { mm_hash } = parseRef(CUP);
  const body = {
    kwargs_data: { image: [CUP, stored()] },
    mm_hashes: { image: [mm_hash, mm_hash] },
    mm_placeholders: { image: [{ offset: 15, length: TOKENS }, { offset: 92, length: TOKENS }] },
  };
  return JSON.stringify({ features: body });
}

/** One row: the first turn is well, the second lost the end of its ref. */
function rollout(): string {
  const ref = stored();
  const cut = ref.slice(0, ref.lastIndexOf(":") + 1 + CUT_AT);
  const turns = [{ mm_refs: [[[ref, 15, TOKENS]]] }, { mm_refs: [[[cut, 15, TOKENS]]] }];
  return JSON.stringify({ id: 17, reward: 0.5, turns });
}

export interface Example {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly make: () => string;
}

export const EXAMPLES: readonly Example[] = [
  { id: "valid", title: "A valid ref", text: "One ref with its picture inline: every check that needs no store.", make: () => CUP },
  { id: "broken", title: "A broken ref", text: "It reads well, but its hash is that of another picture.", make: broken },
  { id: "features", title: "A features body", text: "Two images of a generate request, with hashes and placeholders.", make: features },
  { id: "rollout", title: "A rollout line", text: "Two turns of one row. In one of them a ref is cut off.", make: rollout },
];
