const D=JSON.parse(document.getElementById('data').textContent),R=D.resolutions;
const uri=b=>'data:image/jpeg;base64,'+b;
function show(p){const n=+p.dataset.face,f=D.faces[n],S=D.stops[n],q=+p.querySelector('.s').value,
 v=S.find(x=>Math.abs(x-q)<.006)??q;
 const r=p.querySelector('.r')?+p.querySelector('.r').value:0;
 let i=S.length-1;while(i>0&&S[i]>v)i--;
 const j=Math.min(i+1,S.length-1),t=j>i?(v-S[i])/(S[j]-S[i]):0,im=p.querySelectorAll('.stack img');
 im[0].src=uri(f[r][i]);im[1].src=uri(f[r][j]);im[1].style.opacity=t;
 p.querySelector('.so').value=v.toFixed(2);if(R.length)p.querySelector('.ro').value=R[r]+' px'}
async function save(p){const [a,b]=p.querySelectorAll('.stack img'),c=document.createElement('canvas'),
 x=c.getContext('2d'),link=document.createElement('a'),name=p.querySelector('h3').textContent,r=p.querySelector('.r');
 await a.decode();await b.decode();c.width=a.naturalWidth;c.height=a.naturalHeight;
 x.drawImage(a,0,0);x.globalAlpha=+b.style.opacity;x.drawImage(b,0,0);
 link.download=`${name} strength ${p.querySelector('.so').value}${r?` res ${R[+r.value]}`:''}.png`;
 link.href=c.toDataURL();link.click()}
document.querySelectorAll('.one').forEach(p=>{p.addEventListener('input',()=>show(p));show(p);
 p.querySelector('.save').addEventListener('click',()=>save(p))});
const all=document.getElementById('all');
all.addEventListener('input',e=>{const c=e.target.className;
 all.querySelector('.'+c+'o').value=c=='s'?(+e.target.value).toFixed(2):R[+e.target.value]+' px';
 document.querySelectorAll('.one').forEach(p=>{p.querySelector('.'+c).value=e.target.value;show(p)})});
